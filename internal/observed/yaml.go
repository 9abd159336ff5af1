package observed

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// YAML is the rules ready to paste into a configuration, with what was seen as comments.
func (p Proposal) YAML() []byte {
	var out bytes.Buffer
	fmt.Fprintln(&out, "rules:")
	for _, r := range p.rules {
		for _, c := range r.comments {
			fmt.Fprintf(&out, "  # %s\n", c)
		}
		fmt.Fprintf(&out, "  - name: %s\n    callers:\n", scalar(r.Name))
		for _, c := range r.Callers {
			fmt.Fprintf(&out, "      - %q\n", c)
		}
		fmt.Fprintln(&out, "    operations:")
		for _, op := range r.Operations {
			fmt.Fprintf(&out, "      - %s # %s\n", op, r.about[op])
		}
		if len(r.Hazards) > 0 {
			fmt.Fprintf(&out, "    hazards: [%s]\n", strings.Join(r.Hazards, ", "))
		}
		fmt.Fprintf(&out, "    as: %s\n", scalar(r.As))
	}
	return out.Bytes()
}

// isName tells what the configuration accepts as a name. Records are files
// that anybody may have edited, and a name goes into a configuration.
func isName(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// scalar quotes what YAML would read as something else than this text, such as
// numbers, dates, null and yes.
func scalar(s string) string {
	words := []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
	if (isName(s) && s[0] >= 'a' && s[0] <= 'z' && !slices.Contains(words, s)) || s == ChangeMe {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// shown is text of a record as one line that hides nothing: quoted where it
// has anything but printable ASCII.
func shown(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return strconv.QuoteToASCII(s)
	}
	return s
}
