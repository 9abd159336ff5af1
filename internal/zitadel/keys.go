package zitadel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Key is a key, or a personal access token, of a user as lists show it: without
// what it is.
type Key struct {
	ID      string
	Created time.Time
	Expiry  time.Time
}

// AddKey registers a public key (PKIX in PEM) of a user until expiry, which
// ZITADEL keeps to the microsecond, and returns the key's id. A user may do
// so for itself without any role. The private half stays where it is.
func (c *Client) AddKey(ctx context.Context, authorization []string, userID string, publicKey []byte, expiry time.Time) (string, error) {
	var answer struct{ KeyID string }
	body := map[string]any{"userId": userID, "expirationDate": expiry.UTC().Format(time.RFC3339Nano), "publicKey": publicKey}
	if err := c.ask(ctx, userService+"AddKey", authorization, body, &answer); err != nil {
		return "", err
	}
	if answer.KeyID == "" {
		return "", fmt.Errorf("reading zitadel's answer to %sAddKey: it names no key", userService)
	}
	return answer.KeyID, nil
}

// Keys are the keys of a user, ended ones too.
func (c *Client) Keys(ctx context.Context, authorization []string, userID string) ([]Key, error) {
	return c.credentials(ctx, authorization, "ListKeys", userID)
}

// PersonalAccessTokens are those of a user, ended ones too.
func (c *Client) PersonalAccessTokens(ctx context.Context, authorization []string, userID string) ([]Key, error) {
	return c.credentials(ctx, authorization, "ListPersonalAccessTokens", userID)
}

func (c *Client) credentials(ctx context.Context, authorization []string, method, userID string) ([]Key, error) {
	var answer struct {
		Result []struct {
			ID, UserID                   string
			CreationDate, ExpirationDate time.Time
		}
	}
	body := map[string]any{
		"pagination": map[string]any{"limit": 1000},
		"filters":    []any{map[string]any{"userIdFilter": map[string]any{"id": userID}}},
	}
	if err := c.ask(ctx, userService+method, authorization, body, &answer); err != nil {
		return nil, err
	}
	var keys []Key
	for _, r := range answer.Result {
		if r.UserID == userID {
			keys = append(keys, Key{r.ID, r.CreationDate, r.ExpirationDate})
		}
	}
	return keys, nil
}

// RemoveKey ends a key of a user. One that is gone already is no error. Access
// tokens that it brought stay valid until they end.
func (c *Client) RemoveKey(ctx context.Context, authorization []string, userID, keyID string) error {
	err := c.ask(ctx, userService+"RemoveKey", authorization, map[string]any{"userId": userID, "keyId": keyID}, &struct{}{})
	var status *StatusError
	// Who may not remove it is told so by a 404, too: membership not found.
	if errors.As(err, &status) && status.Status == http.StatusNotFound && strings.Contains(strings.ToLower(status.Message), "key not found") {
		return nil
	}
	return err
}
