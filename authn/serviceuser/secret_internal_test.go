package serviceuser

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// The type is not exported, so this test stands inside the package.
func TestASecretShowsInNoFormat(t *testing.T) {
	const canary = "canary-secret-Zq9"
	s := newSecret(canary)
	type holder struct {
		Open   secret
		hidden secret
		inner  *secret
	}
	for _, v := range []any{s, &s, holder{s, s, &s}, &holder{s, s, &s}, []secret{s}, map[string]secret{"x": s}} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%10s"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		for _, h := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
			if strings.Contains(out.String(), h) {
				t.Errorf("%T shows %q:\n%s", v, h, out.String())
			}
		}
	}
	if s.String() != hiddenSecret || s.GoString() != hiddenSecret {
		t.Errorf("String %q, GoString %q", s.String(), s.GoString())
	}
	if !s.in("x"+canary+"y") || s.in("another text") || (secret{}).in("") {
		t.Error("in does not tell texts with the secret from others")
	}
}
