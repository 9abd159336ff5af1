package zitadel

import (
	"context"
	"fmt"
	"strings"
)

// Issuer is the issuer that the instance's OpenID configuration names.
func (c *Client) Issuer(ctx context.Context) (string, error) {
	var answer struct{ Issuer string }
	if err := c.ask(ctx, "/.well-known/openid-configuration", nil, nil, &answer); err != nil {
		return "", err
	}
	return answer.Issuer, nil
}

// Methods are the RPCs that the server has, as operations are named:
// "zitadel.user.v2.UserService/ListUsers". Any valid token may ask for them.
func (c *Client) Methods(ctx context.Context, authorization []string) ([]string, error) {
	var answer struct{ Methods []string }
	const path = "/v2/actions/executions/methods"
	if err := c.ask(ctx, path, authorization, nil, &answer); err != nil {
		return nil, err
	}
	if len(answer.Methods) == 0 {
		return nil, fmt.Errorf("reading zitadel's answer to %s: it names no method", path)
	}
	names := make([]string, len(answer.Methods))
	for i, m := range answer.Methods {
		names[i] = strings.TrimPrefix(m, "/")
	}
	return names, nil
}
