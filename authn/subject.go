package authn

import (
	"fmt"
	"strings"
)

// checkJWT takes "<issuer name>/<subject>" apart at the first '/': the name has
// none, so there is one way to read it. A subject is visible ASCII: look-alikes
// of other alphabets, line ends and invisible characters would make callers that
// read like others.
func checkJWT(id string, part func(string) error) error {
	issuer, subject, found := strings.Cut(id, "/")
	if err := checkName(issuer); err != nil {
		return fmt.Errorf("the issuer: %w", err)
	}
	if !found || subject == "" {
		return fmt.Errorf("its subject is missing; write it after the issuer's name and a '/'")
	}
	if len(subject) > maxJWT {
		return fmt.Errorf("its subject has %d bytes; %d are the most", len(subject), maxJWT)
	}
	for i := range len(subject) {
		if c := subject[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("its subject has %q at byte %d, which is no visible ASCII; give the workload another name", subject[i:i+1], i+1)
		}
	}
	for rest, more := subject, true; more; {
		var this string
		this, rest, more = cutPart(rest)
		if err := part(strings.TrimRight(this, "/:")); err != nil {
			return err
		}
	}
	return nil
}

// checkPart refuses what patterns mean something else by.
func checkPart(s string) error {
	if strings.Contains(s, "*") {
		return fmt.Errorf("its subject has '*', which stands for others in rules and never for itself")
	}
	return nil
}

// cutPart cuts s behind its first '/' or ':', which part keeps, and reports
// whether there was one.
func cutPart(s string) (part, rest string, more bool) {
	for i := range len(s) {
		if s[i] == '/' || s[i] == ':' {
			return s[:i+1], s[i+1:], true
		}
	}
	return s, "", false
}
