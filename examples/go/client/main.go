// Client recognizes a picture and prints who is in it.
//
//	go run ./client -address localhost:50051 picture.jpg
//	MARQUEE_TOKEN=mq_… go run ./client -tls -address marquee.example:443 picture.jpg
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	marquee "marquee.example/marquee/v1"
)

// Pictures have up to 15 MiB; gRPC's own limit for answers is 4 MiB.
const maxMessageBytes = 16 << 20

func main() {
	log.SetFlags(0)
	address := flag.String("address", "localhost:50051", "host and port of a gateway or a recognizer")
	secure := flag.Bool("tls", false, "connect with TLS; MARQUEE_TOKEN is sent if it is set")
	ca := flag.String("ca", "", "file of the server's CA, with -tls; empty: those of this machine")
	cert := flag.String("cert", "", "file of a client certificate, with -tls and -key")
	key := flag.String("key", "", "file of its key")
	timeout := flag.Duration("timeout", 12*time.Second, "deadline of the call")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("Name one picture: client [-address HOST:PORT] picture.jpg")
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	var err error
	if *secure {
		options, err = overTLS(*ca, *cert, *key)
	}
	if err == nil {
		err = recognize(*address, options, *timeout, flag.Arg(0))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func overTLS(ca, cert, key string) ([]grpc.DialOption, error) {
	config := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}
	if value := os.Getenv("MARQUEE_TOKEN"); value != "" {
		options = append(options, grpc.WithPerRPCCredentials(token(value)))
	}
	return options, nil
}

// token is sent with each call, and never in plaintext.
type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

func (token) RequireTransportSecurity() bool { return true }

func recognize(address string, options []grpc.DialOption, timeout time.Duration, path string) error {
	picture, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(address, append(options,
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)))...)
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
