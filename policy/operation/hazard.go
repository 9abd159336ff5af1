package operation

// Hazards is a set of hazard classes. An operation that carries any is never
// part of a wildcard: a rule needs its full name and names its classes.
type Hazards uint8

// The hazard classes.
const (
	MintsCredential   Hazards = 1 << iota // the answer carries a key, token, secret or hash
	ReturnsCode                           // the answer can carry a one-time code or login link
	PlantsCredential                      // the request sets or strips somebody's credential
	GrantsRole                            // changes roles or memberships
	Bulk                                  // one call, many effects
	ReachesOtherCalls                     // changes what other calls do: actions, settings, domains
	OwnUser                               // acts on the token's own user
)
