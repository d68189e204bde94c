// Rekognition asks Amazon Rekognition, or the local endpoint, for the celebrities and the faces of a picture.
//
//	AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
//	AWS_REGION=us-east-1 go run ./rekognition picture.jpg
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/rekognition"
	"github.com/aws/aws-sdk-go-v2/service/rekognition/types"
	"github.com/aws/smithy-go"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("Name one picture: rekognition picture.jpg")
	}
	if err := describe(context.Background(), os.Args[1]); err != nil {
		log.Fatal(explained(err))
	}
}

func describe(ctx context.Context, path string) error {
	picture, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	configuration, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := rekognition.NewFromConfig(configuration)
	image := &types.Image{Bytes: picture}
	celebrities, err := client.RecognizeCelebrities(ctx, &rekognition.RecognizeCelebritiesInput{Image: image})
	if err != nil {
		return err
	}
	for _, one := range celebrities.CelebrityFaces {
		fmt.Printf("%s (%s) %.0f %%\n", aws.ToString(one.Name), one.KnownGender.Type, aws.ToFloat32(one.MatchConfidence))
	}
	faces, err := client.DetectFaces(ctx, &rekognition.DetectFacesInput{
		Image: image, Attributes: []types.Attribute{types.AttributeAll},
	})
	if err != nil {
		return err
	}
	fmt.Println(len(faces.FaceDetails), "faces")
	for _, face := range faces.FaceDetails {
		fmt.Println("smile:", face.Smile.Value, "emotion:", face.Emotions[0].Type)
	}
	return nil
}

func explained(err error) error {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return fmt.Errorf("%s: %s", refused.ErrorCode(), refused.ErrorMessage())
	}
	return err
}
