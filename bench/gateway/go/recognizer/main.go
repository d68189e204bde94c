// Recognizer answers every picture alike, after a delay, and counts its calls:
//
//	recognizer -listen 127.0.0.1:50060 -name one -delay 20ms -counter 127.0.0.1:50061
//
// The counter is an HTTP page, /debug/vars: `calls` is the number of RecognizeImage calls, `pictures` that of different
// pictures in them, each told by its first eight bytes.
package main

import (
	"context"
	"expvar"
	"flag"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	marquee "marquee.example/marquee/v1"
)

const maxMessageBytes = 16 << 20

var (
	calls    = expvar.NewInt("calls")
	pictures = expvar.NewInt("pictures")
	known    sync.Map
	features = []marquee.Feature{marquee.Feature_FEATURE_CELEBRITIES, marquee.Feature_FEATURE_LABELS}
)

type server struct {
	marquee.UnimplementedRecognizerServiceServer
	name  string
	delay time.Duration
}

func main() {
	listen := flag.String("listen", "", "host and port to listen on")
	counter := flag.String("counter", "", "host and port of the counter")
	name := flag.String("name", "", "name of its model, and of its evidence group")
	delay := flag.Duration("delay", 0, "time that a picture takes")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(*counter, nil)) }()
	s := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxConcurrentStreams(10000))
	marquee.RegisterRecognizerServiceServer(s, server{name: *name, delay: *delay})
	log.Fatal(s.Serve(listener))
}

func (s server) RecognizeImage(
	ctx context.Context, request *marquee.RecognizeImageRequest,
) (*marquee.RecognizeImageResponse, error) {
	begin := time.Now()
	calls.Add(1)
	if _, loaded := known.LoadOrStore([8]byte(request.GetImage().GetContent()), true); !loaded {
		pictures.Add(1)
	}
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	taken := durationpb.New(time.Since(begin))
	return &marquee.RecognizeImageResponse{
		RequestId: request.RequestId,
		Image:     &marquee.ImageInfo{Width: 640, Height: 480, Format: "JPEG"},
		Results:   []*marquee.RecognizerResult{s.result(taken)},
		Timings:   &marquee.CallTimings{Total: taken},
	}, nil
}

func (s server) result(taken *durationpb.Duration) *marquee.RecognizerResult {
	return &marquee.RecognizerResult{
		Recognizer:        s.name,
		Status:            &statuspb.Status{},
		Outcome:           marquee.Outcome_OUTCOME_OK,
		Model:             s.model(),
		PerformedFeatures: features,
		Faces: []*marquee.Face{{
			Box:            &marquee.BoundingBox{Left: .4, Top: .2, Width: .2, Height: .3},
			DetectionScore: .99,
			Candidates:     []*marquee.Candidate{{PersonId: "grace-hopper", DisplayName: "Grace Hopper", Score: .97}},
		}},
		Labels: []*marquee.Label{
			{Name: "Person", Score: .99},
			{Name: "Uniform", Score: .91, Parents: []string{"Clothing"}},
		},
		Timings: &marquee.RecognizerTimings{Queue: &durationpb.Duration{}, Recognizer: taken},
	}
}

func (s server) model() *marquee.Model {
	return &marquee.Model{Name: s.name, Version: "1", EvidenceGroup: s.name}
}

func (s server) ListRecognizers(
	context.Context, *marquee.ListRecognizersRequest,
) (*marquee.ListRecognizersResponse, error) {
	return &marquee.ListRecognizersResponse{Recognizers: []*marquee.Recognizer{{
		Name:          s.name,
		State:         marquee.RecognizerState_RECOGNIZER_STATE_READY,
		Features:      features,
		Models:        []*marquee.Model{s.model()},
		EvidenceGroup: s.name,
	}}}, nil
}
