package operation

// Reason is why a request names no operation; a closed list of codes that go
// to the wire and into records as they are.
type Reason string

// The reasons, with the HTTP status that fits each.
const (
	ReasonNotCanonical     Reason = "not_canonical"      // 400: the target is not in the one form that is forwarded
	ReasonUnknownOperation Reason = "unknown_operation"  // 404: nothing that the catalogue knows
	ReasonMethodNotAllowed Reason = "method_not_allowed" // 405: the path is known under another method
	ReasonContentType      Reason = "content_type"       // 415: ZITADEL could read the body as something else
	ReasonBadQuery         Reason = "bad_query"          // 400: a query that could be read in two ways
)

// Error is the error of [Catalogue.Resolve].
type Error struct {
	Reason Reason
	Detail string // what is wrong and what to do; fit for the caller to see
}

// Error is the detail after what was tried.
func (e *Error) Error() string {
	return "resolving operation: " + e.Detail
}

func fail(r Reason, detail string) *Error {
	return &Error{Reason: r, Detail: detail}
}
