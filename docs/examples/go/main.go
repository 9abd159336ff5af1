// Command go lists users with ZITADEL's own client, pointed at zproxy: no
// credential, and cleartext HTTP/2 to a listener of this machine.
package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"github.com/zitadel/zitadel-go/v3/pkg/zitadel"
	"google.golang.org/grpc/status"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	at := os.Getenv("ZPROXY_URL")
	if at == "" {
		at = "http://127.0.0.1:8080"
	}
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// Without client.WithAuth the client sends no token. A listener with TLS:
	// zitadel.New(host, zitadel.WithPort(8443)), and a name that its certificate has.
	c, err := client.New(ctx, zitadel.New(host, zitadel.WithInsecure(port)))
	if err != nil {
		return err
	}
	defer c.Close()
	list, err := c.UserServiceV2().ListUsers(ctx, &userv2.ListUsersRequest{})
	if err != nil {
		return err
	}
	for _, user := range list.GetResult() {
		fmt.Println(user.GetUserId(), user.GetUsername())
	}
	_, err = c.UserServiceV2().DeleteUser(ctx, &userv2.DeleteUserRequest{UserId: list.GetResult()[0].GetUserId()})
	fmt.Println("refused:", status.Convert(err).Message())
	return nil
}
