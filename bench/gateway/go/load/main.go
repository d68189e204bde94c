// Load calls at a rate that does not wait for answers, each call with a picture of its own, and reads every answer.
//
//	load -address 127.0.0.1:50051 -rate 240 -duration 60s -bytes 1000
//
// It prints a line a call: when it began and how long it took, in microseconds, its code, and how many of its results
// are OK.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	marquee "marquee.example/marquee/v1"
)

func main() {
	address := flag.String("address", "", "host and port of the gateway")
	rate := flag.Float64("rate", 240, "calls a second")
	duration := flag.Duration("duration", time.Minute, "time during which calls begin")
	size := flag.Int("bytes", 1000, "size of a picture")
	timeout := flag.Duration("timeout", 10*time.Second, "deadline of a call")
	first := flag.Uint64("first", 0, "number of the first picture")
	flag.Parse()
	conn, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := marquee.NewRecognizerServiceClient(conn)
	lines := make([]string, int(*rate*duration.Seconds()))
	begin := time.Now()
	var wait sync.WaitGroup
	for i := range lines {
		time.Sleep(time.Until(begin.Add(time.Duration(float64(i) / *rate * float64(time.Second)))))
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), *timeout)
			defer cancel()
			start := time.Now()
			response, err := client.RecognizeImage(ctx, request(*first+uint64(i), *size))
			lines[i] = fmt.Sprintf("%d\t%d\t%s\t%d\n", start.Sub(begin).Microseconds(),
				time.Since(start).Microseconds(), status.Code(err), successes(response))
		})
	}
	wait.Wait()
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for _, line := range lines {
		output.WriteString(line)
	}
}

func request(number uint64, size int) *marquee.RecognizeImageRequest {
	picture := make([]byte, size)
	binary.BigEndian.PutUint64(picture, number)
	return &marquee.RecognizeImageRequest{Image: &marquee.Image{Source: &marquee.Image_Content{Content: picture}}}
}

func successes(response *marquee.RecognizeImageResponse) int {
	count := 0
	for _, result := range response.GetResults() {
		if result.Outcome == marquee.Outcome_OUTCOME_OK {
			count++
		}
	}
	return count
}
