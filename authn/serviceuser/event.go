package serviceuser

import "time"

// EventKind names what a [Source] reports.
type EventKind string

// The kinds of events.
const (
	// TokenObtained: a new token is in use. Generation, Expiry and Next are set.
	TokenObtained EventKind = "token-obtained"
	// FetchFailed: a token request brought no token. Err and Next are set.
	FetchFailed EventKind = "fetch-failed"
	// TokenDiscarded: the upstream refused the token of this Generation. Next
	// is when another is fetched.
	TokenDiscarded EventKind = "token-discarded"
	// CredentialChanged: a replaced credential file was read and is in use.
	CredentialChanged EventKind = "credential-changed"
	// CredentialRefused: the credential file changed and cannot be used; the
	// credential read before stays in use. Err is set.
	CredentialRefused EventKind = "credential-refused"
	// CredentialExpiring: the key file says that the key ends within 30 days,
	// at Expiry. ZITADEL itself gives no warning. Reported with each new token.
	CredentialExpiring EventKind = "credential-expiring"
)

// Event is one thing that happened to a [Source], for the log. It holds no
// credential.
type Event struct {
	Kind        EventKind
	ServiceUser string
	// Time is when it happened, by the source's clock.
	Time time.Time
	// Generation is the token's, 0 when the event is not about a token.
	Generation uint64
	// Expiry is when the token, or for CredentialExpiring the key, ends; zero
	// when that is not known.
	Expiry time.Time
	// Next is when the source will fetch next unless something happens before;
	// zero when no fetch is planned.
	Next time.Time
	// Skew is how far the server's clock is ahead of ours; 0 when unknown.
	Skew time.Duration
	// Err is why, for the kinds that report a failure.
	Err error
}
