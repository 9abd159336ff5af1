package workload_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

// serve answers each request with who is said to have sent it, and with what is
// left of Authorization.
func serve(t *testing.T, socket net.Listener, says authn.Authenticator) {
	t.Helper()
	s := &http.Server{ConnContext: authn.ConnContext, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := says.Authenticate(r)
		who := id.Caller.String()
		var e *authn.Error
		if errors.As(err, &e) {
			who += string(e.Reason)
		}
		fmt.Fprintf(w, "%s|%s|%q", who, id.Peer, r.Header["Authorization"])
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(socket) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
}

// ask sends a request with these fields, and returns what serve says.
func ask(t *testing.T, a net.Addr, fields ...string) (who, peer, left string) {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	check(t, err)
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(c, "GET /?access_token="+good("p256")+" HTTP/1.1\r\nHost: evil.example\r\n"+strings.Join(append(fields, "\r\n"), "\r\n"))
	check(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	check(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	parts := strings.SplitN(string(body), "|", 3)
	if len(parts) != 3 {
		t.Fatalf("%s: %q", res.Status, body)
	}
	return parts[0], parts[1], parts[2]
}

func TestRequestsAreNamedByTheirTokensWhichStayHere(t *testing.T) {
	c := callers(t, issuer(t, nil))
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	unix, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	check(t, err)
	bearer := "Authorization: Bearer " + good("p256")
	for _, socket := range []net.Listener{tcp, unix} {
		serve(t, socket, c)
		for name, test := range map[string]struct {
			want   string
			fields []string
		}{
			"good":                   {crm, []string{bearer}},
			"scheme in capitals":     {crm, []string{strings.Replace(bearer, "Bearer", "BEARER", 1)}},
			"field in capitals":      {crm, []string{strings.Replace(bearer, "Authorization", "AUTHORIZATION", 1)}},
			"none, but in the query": {string(workload.ReasonMissing), nil},
			"another scheme":         {string(workload.ReasonMissing), []string{"Authorization: Basic YTpi"}},
			"DPoP":                   {string(workload.ReasonMissing), []string{strings.Replace(bearer, "Bearer", "DPoP", 1)}},
			"without a scheme":       {string(workload.ReasonMissing), []string{strings.Replace(bearer, "Bearer ", "", 1)}},
			"scheme alone":           {string(workload.ReasonMissing), []string{"Authorization: Bearer"}},
			"empty":                  {string(workload.ReasonMissing), []string{"Authorization:"}},
			"two fields":             {string(workload.ReasonMalformed), []string{bearer, bearer}},
			"two fields, one empty":  {string(workload.ReasonMalformed), []string{bearer, "authorization:"}},
			"two tokens":             {string(workload.ReasonMalformed), []string{bearer + ", " + bearer[len("Authorization: "):]}},
			"two spaces":             {string(workload.ReasonMalformed), []string{strings.Replace(bearer, "Bearer ", "Bearer  ", 1)}},
			"a tab":                  {string(workload.ReasonMissing), []string{strings.Replace(bearer, "Bearer ", "Bearer\t", 1)}},
			"a quote":                {string(workload.ReasonMalformed), []string{strings.Replace(bearer, "Bearer ", `Bearer "`, 1) + `"`}},
			"too long":               {string(workload.ReasonMalformed), []string{bearer + strings.Repeat("a", 17<<10)}},
			"of another's field":     {string(workload.ReasonMissing), []string{"Proxy-" + bearer}},
			"with an underscore":     {string(workload.ReasonMissing), []string{"X_" + bearer}},
			"a browser":              {string(authn.ReasonBrowser), []string{bearer, "Origin: null"}},
			"a browser's navigation": {string(authn.ReasonBrowser), []string{bearer, "Sec-Fetch-Mode: navigate"}},
			"trailing dot":           {string(workload.ReasonMalformed), []string{bearer + "."}},
		} {
			who, peer, left := ask(t, socket.Addr(), test.fields...)
			if who != test.want || left != "[]" {
				t.Errorf("%s: %s, left %s", name, who, left)
			}
			if want := fmt.Sprintf("uid=%d ", os.Getuid()); socket == unix && !strings.HasPrefix(peer, want) || socket == tcp && !strings.HasPrefix(peer, "127.0.0.1:") {
				t.Errorf("%s: peer %q", name, peer)
			}
		}
	}
}

func TestOnlyListedNetworksMayShowTokens(t *testing.T) {
	from, err := authn.NewSources([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
	check(t, err)
	c, err := workload.NewCallers(from, issuer(t, nil))
	check(t, err)
	for remote, want := range map[string]string{"10.1.2.3:1": crm, "10.2.0.1:1": ""} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("Authorization", "Bearer "+good("p256"))
		id, err := c.Authenticate(r)
		var e *authn.Error
		if id.Caller.String() != want || id.Peer != remote || want == "" && (!errors.As(err, &e) || e.Reason != authn.ReasonSourceAddress) {
			t.Errorf("%s: %+v, %v", remote, id, err)
		}
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s: the token is left", remote)
		}
	}
}
