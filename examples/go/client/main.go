// Client recognizes a picture and prints who is in it.
//
//	go run ./client -address localhost:50051 picture.jpg
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	marquee "marquee.example/marquee/v1"
)

// Pictures have up to 15 MiB; gRPC's own limit for answers is 4 MiB.
const maxMessageBytes = 16 << 20

func main() {
	log.SetFlags(0)
	address := flag.String("address", "localhost:50051", "host and port of a gateway or a recognizer")
	timeout := flag.Duration("timeout", 12*time.Second, "deadline of the call")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("Name one picture: client [-address HOST:PORT] picture.jpg")
	}
	if err := recognize(*address, *timeout, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func recognize(address string, timeout time.Duration, path string) error {
	picture, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response, err := marquee.NewRecognizerServiceClient(conn).RecognizeImage(ctx, &marquee.RecognizeImageRequest{
		Image: &marquee.Image{Source: &marquee.Image_Content{Content: picture}},
	})
	if err != nil {
		return explained(err)
	}
	for _, result := range response.Results {
		fmt.Println(result.Recognizer, result.Outcome, result.Status.GetMessage())
	}
	for _, verdict := range response.Verdicts {
		fmt.Printf("%v %s %.2f\n", verdict.State, verdict.DisplayName, verdict.Score)
	}
	return nil
}

// explained adds the details to a failed call's message: the reason, and each recognizer's status.
func explained(err error) error {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			err = fmt.Errorf("%w\n  reason: %s", err, detail.Reason)
		case *statuspb.Status:
			err = fmt.Errorf("%w\n  %s", err, detail.Message)
		}
	}
	return err
}
