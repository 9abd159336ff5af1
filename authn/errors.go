package authn

// Reason is the code under which a refusal is recorded and answered.
type Reason string

// The reasons why a request has no caller.
const (
	ReasonUnknownCaller Reason = "unknown_caller" // 401: the connection names nobody that the configuration knows
	ReasonSourceAddress Reason = "source_address" // 403: outside the listener's allow_from
	ReasonBrowser       Reason = "browser"        // 403: Origin or Sec-Fetch-*: a browser is no caller
	ReasonForeignHost   Reason = "foreign_host"   // 403: a Host that the listener does not own (DNS rebinding)
	// ReasonKeysUnavailable is no fault of the caller's: 503.
	ReasonKeysUnavailable Reason = "jwt_keys_unavailable" // the keys that would prove its token are not known
)

// Error refuses a request before any rule is asked.
type Error struct {
	Reason Reason
	Detail string // for the caller and the record: lowercase, what failed, why, what to do; no secrets
}

func (e *Error) Error() string { return e.Detail }
