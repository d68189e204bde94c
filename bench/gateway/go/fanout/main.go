// Fanout is the least that a gateway can be: it calls all recognizers with the same request, and joins their results.
//
//	fanout -listen 127.0.0.1:50051 127.0.0.1:50060 127.0.0.1:50062 127.0.0.1:50064
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	marquee "marquee.example/marquee/v1"
)

const maxMessageBytes = 16 << 20

type server struct {
	marquee.UnimplementedRecognizerServiceServer
	recognizers []marquee.RecognizerServiceClient
}

func main() {
	listen := flag.String("listen", "", "host and port to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fanout := server{}
	for _, target := range flag.Args() {
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			log.Fatal(err)
		}
		fanout.recognizers = append(fanout.recognizers, marquee.NewRecognizerServiceClient(conn))
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes))
	marquee.RegisterRecognizerServiceServer(s, fanout)
	log.Fatal(s.Serve(listener))
}

func (s server) RecognizeImage(
	ctx context.Context, request *marquee.RecognizeImageRequest,
) (*marquee.RecognizeImageResponse, error) {
	answers := make([]*marquee.RecognizeImageResponse, len(s.recognizers))
	errors := make([]error, len(s.recognizers))
	var wait sync.WaitGroup
	for i, recognizer := range s.recognizers {
		wait.Go(func() { answers[i], errors[i] = recognizer.RecognizeImage(ctx, request) })
	}
	wait.Wait()
	response := &marquee.RecognizeImageResponse{RequestId: request.RequestId}
	for i, answer := range answers {
		if errors[i] != nil {
			return nil, errors[i]
		}
		response.Results = append(response.Results, answer.Results...)
	}
	return response, nil
}
