package serviceuser

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// maxAccessToken bounds what becomes a header of every request. ZITADEL's
	// opaque tokens have about 100 characters, its JWTs about 1,000.
	maxAccessToken = 16 << 10
	// maxLife keeps a nonsensical lifetime from meaning "never again".
	maxLife = 366 * 24 * time.Hour
)

// checkAnswer accepts a token answer (RFC 6749 section 5.1), or says what is
// wrong with it. The lifetime counts from the moment the request began, so that
// a slow answer makes the token look shorter lived than it is, never longer.
func checkAnswer(t *oauth2.Token, began, now time.Time) (issued, error) {
	if !strings.EqualFold(t.TokenType, "Bearer") {
		return issued{}, errors.New("the token endpoint's answer has no token of type Bearer")
	}
	if err := checkAccessToken(t.AccessToken); err != nil {
		return issued{}, fmt.Errorf("the token endpoint's answer cannot be used: %w", err)
	}
	life, err := lifetime(t.Extra("expires_in"))
	if err != nil {
		return issued{}, err
	}
	expiry := began.Add(life)
	if !now.Before(expiry) {
		return issued{}, errors.New("the token had ended before the token endpoint's answer arrived")
	}
	return issued{value: newSecret(t.AccessToken), expiry: expiry}, nil
}

// lifetime reads expires_in, a number of seconds that some servers write as a
// string.
func lifetime(v any) (time.Duration, error) {
	var seconds float64
	switch v := v.(type) {
	case nil:
		return 0, errors.New("the token endpoint's answer does not say when the token ends (expires_in)")
	case float64:
		seconds = v
	case int64:
		seconds = float64(v)
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, errors.New("the token endpoint's answer has an expires_in that is no number of seconds")
		}
		seconds = float64(n)
	default:
		return 0, errors.New("the token endpoint's answer has an expires_in that is no number of seconds")
	}
	if math.IsNaN(seconds) || seconds < 1 {
		return 0, errors.New("the token endpoint's answer holds a token that has already ended (expires_in)")
	}
	return time.Duration(min(seconds, maxLife.Seconds()) * float64(time.Second)), nil
}

// checkAccessToken accepts the b64token of RFC 6750 section 2.1: anything else
// could break out of the header it is put into.
func checkAccessToken(s string) error {
	if s == "" {
		return errors.New("the access token is empty")
	}
	if len(s) > maxAccessToken {
		return fmt.Errorf("the access token is longer than %d KiB", maxAccessToken>>10)
	}
	body := strings.TrimRight(s, "=")
	if body == "" {
		return errors.New("the access token has no characters but =")
	}
	for i := range len(body) {
		c := body[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return errors.New("the access token has characters that RFC 6750 does not allow in one")
		}
	}
	return nil
}
