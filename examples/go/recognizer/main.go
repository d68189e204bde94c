// Recognizer is a recognizer that finds the colour of a picture's first pixel. A gateway calls it like the others:
//
//	go run ./recognizer -listen localhost:50060
//
//	recognizers:
//	  colour: {target: "localhost:50060"}
//
// It has what a recognizer needs: the contract's three methods, messages of 16 MiB, the health names that the chart asks
// for, and an end on SIGTERM that lets calls finish.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"log"
	"net"
	"os/signal"
	"syscall"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	marquee "marquee.example/marquee/v1"
)

// Pictures have up to 15 MiB; gRPC's own limit for requests is 4 MiB.
const maxMessageBytes = 16 << 20

type server struct {
	marquee.UnimplementedRecognizerServiceServer
}

func main() {
	listen := flag.String("listen", "localhost:50060", "host and port to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxSendMsgSize(maxMessageBytes))
	marquee.RegisterRecognizerServiceServer(s, server{})
	checks := health.NewServer()
	for _, name := range []string{"liveness", "readiness"} {
		checks.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	grpc_health_v1.RegisterHealthServer(s, checks)
	reflection.Register(s)
	terminated, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-terminated.Done()
		checks.Shutdown()
		s.GracefulStop()
	}()
	if err := s.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

func (server) RecognizeImage(
	_ context.Context, request *marquee.RecognizeImageRequest,
) (*marquee.RecognizeImageResponse, error) {
	picture, _, err := image.Decode(bytes.NewReader(request.GetImage().GetContent()))
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "The picture does not decode: %v.", err)
	}
	red, green, blue, _ := picture.At(picture.Bounds().Min.X, picture.Bounds().Min.Y).RGBA()
	name := fmt.Sprintf("#%02x%02x%02x", red>>8, green>>8, blue>>8)
	return &marquee.RecognizeImageResponse{
		RequestId: request.RequestId,
		Results: []*marquee.RecognizerResult{{
			Recognizer:        "colour",
			Status:            &statuspb.Status{},
			Outcome:           marquee.Outcome_OUTCOME_OK,
			Model:             &marquee.Model{Name: "first-pixel", Version: "1"},
			PerformedFeatures: []marquee.Feature{marquee.Feature_FEATURE_LABELS},
			Labels:            []*marquee.Label{{Name: name, Score: 1}},
		}},
	}, nil
}

// StreamRecognizeImage sends each result by itself, and then what all results make together: here, nothing.
func (s server) StreamRecognizeImage(
	request *marquee.RecognizeImageRequest, stream grpc.ServerStreamingServer[marquee.RecognizeImageResponse],
) error {
	response, err := s.RecognizeImage(stream.Context(), request)
	if err != nil {
		return err
	}
	if err := stream.Send(response); err != nil {
		return err
	}
	return stream.Send(&marquee.RecognizeImageResponse{RequestId: request.RequestId})
}

func (server) ListRecognizers(
	context.Context, *marquee.ListRecognizersRequest,
) (*marquee.ListRecognizersResponse, error) {
	return &marquee.ListRecognizersResponse{Recognizers: []*marquee.Recognizer{{
		Name:     "colour",
		State:    marquee.RecognizerState_RECOGNIZER_STATE_READY,
		Features: []marquee.Feature{marquee.Feature_FEATURE_LABELS},
		Models:   []*marquee.Model{{Name: "first-pixel", Version: "1"}},
	}}}, nil
}
