package serviceuser_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func Example() {
	dir, err := os.MkdirTemp("", "serviceuser")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "exporter.pat")
	if err := os.WriteFile(file, []byte("not-a-real-token\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	source, err := serviceuser.New(serviceuser.Config{
		Name:    "exporter",
		Observe: func(e serviceuser.Event) { fmt.Println(e.Kind, e.Generation) },
	}, serviceuser.PersonalAccessToken(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = source.Token()
	fmt.Println(err)

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- source.Run(ctx) }()
	if _, err := source.Next(ctx, nil); err != nil { // a program's start may wait; a request calls Token
		fmt.Println(err)
	}
	stop()
	fmt.Println(<-ended)

	token, err := source.Token()
	header := http.Header{"Authorization": token.Authorization}
	fmt.Println(len(header), token, err)
	// Output:
	// service user "exporter" has no usable access token: the first one is being fetched
	// token-obtained 1
	// <nil>
	// 1 [access token] <nil>
}

func ExampleParseKeyFile() {
	_, err := serviceuser.ParseKeyFile([]byte(`{"type":"application","keyId":"1","clientId":"2"}`))
	fmt.Println(err)
	// Output:
	// it is the key of an application (type "application"), which cannot act on ZITADEL's APIs; create a key for a service user
}
