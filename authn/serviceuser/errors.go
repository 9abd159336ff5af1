package serviceuser

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrRunning is returned by [Source.Run] when the source runs already: a second
// loop would double every token request.
var ErrRunning = errors.New("running the token source: it is running already")

// UnavailableError says that a service user has no usable access token. Its
// text is fit for callers: it names the service user and the reason, and no
// address, file or credential. The wrapped error holds the details for the log.
type UnavailableError struct {
	// ServiceUser is the configured name.
	ServiceUser string
	// Reason is one clause, in lower case.
	Reason string
	// Soon is true while the first token, or the one that replaces a refused one,
	// is being fetched and no fetch of it has failed: [Source.Next] is worth calling.
	Soon bool

	cause error
}

// Error names the service user and the reason.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("service user %q has no usable access token: %s", e.ServiceUser, e.Reason)
}

// Unwrap returns what happened in detail, often a [*FetchError], or nil.
func (e *UnavailableError) Unwrap() error { return e.cause }

// FetchError says why a token request brought no token. None of its fields
// holds anything of the assertion, the secret or a token: of what the server
// wrote, only texts known to come from ZITADEL are repeated.
type FetchError struct {
	// Reason is one clause without addresses, fit for callers.
	Reason string
	// Detail adds what the operator may know, such as the address that refused
	// the connection; empty when there is no more to say.
	Detail string
	// Advice is what to do about it; empty when only time helps.
	Advice string
	// Status is the HTTP status of the answer; 0 when there was none.
	Status int
	// RetryAfter is how long the server asked to be left alone; 0 if it did not.
	RetryAfter time.Duration
	// Skew is how far the server's clock is ahead of ours (negative: behind),
	// as its Date header shows it; 0 when there was none.
	Skew time.Duration

	cause error
}

// maxQuietSkew is the difference of the clocks that ZITADEL still accepts in an
// assertion's iat; anything more is worth mentioning in an error.
const maxQuietSkew = 2 * time.Second

// Error is one line: what failed, why, and what to do.
func (e *FetchError) Error() string {
	var b strings.Builder
	b.WriteString("fetching an access token: ")
	b.WriteString(e.Reason)
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Advice != "" {
		b.WriteString("; " + e.Advice)
	}
	if e.Skew.Abs() > maxQuietSkew {
		side := "behind"
		if e.Skew < 0 {
			side = "ahead of"
		}
		fmt.Fprintf(&b, "; this machine's clock is %s %s the server's", e.Skew.Abs().Round(time.Second), side)
	}
	return b.String()
}

// Unwrap returns the error of the context or the network, or nil. It is never
// the library's error, which carries the request and its body.
func (e *FetchError) Unwrap() error { return e.cause }
