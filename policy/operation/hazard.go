package operation

import (
	"fmt"
	"math/bits"
	"strings"
)

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

const hazardClasses = 7

// name is the class as rules spell it; h holds exactly one class.
func (h Hazards) name() string {
	switch h {
	case MintsCredential:
		return "mints-credential"
	case ReturnsCode:
		return "returns-code"
	case PlantsCredential:
		return "plants-credential"
	case GrantsRole:
		return "grants-role"
	case Bulk:
		return "bulk"
	case ReachesOtherCalls:
		return "reaches-other-calls"
	case OwnUser:
		return "own-user"
	}
	return fmt.Sprintf("hazard-%d", uint8(h))
}

// Names are the classes of h as rules spell them, such as "mints-credential",
// in the order of the constants; nil for none.
func (h Hazards) Names() []string {
	if h == 0 {
		return nil
	}
	names := make([]string, 0, bits.OnesCount8(uint8(h)))
	for rest := h; rest != 0; rest &= rest - 1 {
		names = append(names, (rest & -rest).name())
	}
	return names
}

// String is the names of h, separated by commas; "" for none.
func (h Hazards) String() string {
	return strings.Join(h.Names(), ",")
}

// ParseHazard reads the name of one class, the inverse of [Hazards.Names].
func ParseHazard(name string) (Hazards, error) {
	known := make([]string, hazardClasses)
	for i := range known {
		h := Hazards(1) << i
		if h.name() == name {
			return h, nil
		}
		known[i] = h.name()
	}
	return 0, fmt.Errorf("reading hazard class %q: no such class; use one of %s", name, strings.Join(known, ", "))
}
