package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

const pagesFile = `version: 1
upstream: {issuer: "http://127.0.0.1:1"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules: [{name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers], as: pat}]
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0", hosts: [zproxy.acme.internal]$MORE}
`

// adminOf runs a gateway and returns what asks its admin listener.
func adminOf(t *testing.T, more string) func(path string, header ...string) (int, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pat"), "canary-token")
	cfg, err := config.Parse("pages.yaml", []byte(strings.NewReplacer("$DIR", dir, "$MORE", more).Replace(pagesFile)))
	check(t, err)
	g, err := gateway.New(cfg, gateway.Options{})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-ended) })
	return func(path string, header ...string) (int, string) {
		r, err := http.NewRequest("GET", "http://"+g.Address("admin").String()+path, nil)
		check(t, err)
		for i := 0; i < len(header); i += 2 {
			if header[i] == "Host" {
				r.Host = header[i+1]
			}
			r.Header.Set(header[i], header[i+1])
		}
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		check(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		check(t, err)
		return res.StatusCode, string(text)
	}
}

func TestAdminListenerIsForNoBrowserAndForNoForeignName(t *testing.T) {
	get := adminOf(t, "")
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/"} {
		for _, header := range [][]string{{"Host", "rebound.example"}, {"Host", "0.0.0.0"}, {"Origin", "http://rebound.example"}, {"Sec-Fetch-Site", "cross-site"}} {
			if code, text := get(path, header...); code != 403 || !strings.HasPrefix(text, `{"error":"checking `) {
				t.Errorf("%s with %v: %d %s", path, header, code, text)
			}
		}
	}
	for _, host := range []string{"localhost:1234", "127.0.0.1", "zproxy.acme.internal:9090"} {
		if code, text := get("/livez", "Host", host); code != 200 {
			t.Errorf("%s: %d %s", host, code, text)
		}
	}
}

func TestProfilesAreThereOnlyWhenAskedFor(t *testing.T) {
	if code, _ := adminOf(t, "")("/debug/pprof/heap"); code != 404 {
		t.Errorf("not asked for: %d", code)
	}
	get := adminOf(t, ", pprof: true")
	if code, _ := get("/debug/pprof/heap"); code != 200 {
		t.Errorf("asked for: %d", code)
	}
	code, text := get("/debug/pprof/cmdline")
	if code == 200 && strings.Contains(text, filepath.Base(os.Args[0])) {
		t.Error("the command line is shown")
	}
}

func TestReadinessTellsOfEachPart(t *testing.T) {
	_, text := adminOf(t, "")("/readyz")
	var told struct {
		Ready        bool
		ServiceUsers map[string]struct{ Ready bool } `json:"service_users"`
		Listeners    map[string]struct {
			Ready   bool
			Address string
		}
		Audit struct {
			Ready bool
			File  string
		}
	}
	check(t, json.Unmarshal([]byte(text), &told))
	local := told.Listeners["local"]
	if !told.Ready || !told.ServiceUsers["pat"].Ready || !told.Audit.Ready || filepath.Base(told.Audit.File) != "audit.jsonl" || !local.Ready || !strings.HasPrefix(local.Address, "127.0.0.1:") {
		t.Error(text)
	}
}
