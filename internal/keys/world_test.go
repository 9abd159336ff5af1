package keys_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// world is a ZITADEL, a user of it with a key file, and a clock.
type world struct {
	t     *testing.T
	s     *sandbox.Sandbox
	user  string
	admin []string
	file  string

	mu   sync.Mutex
	now  time.Time
	lose bool // the next answers about keys
}

// shared is one for all tests, of which none runs beside another.
var shared = sync.OnceValues(func() (*sandbox.Sandbox, error) { return sandbox.Start(sandbox.Options{}) })

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := shared(); err == nil {
		_ = s.Close() // the process ends anyway
	}
	os.Exit(code)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, s: s, user: s.AddMachineUser(t.Name()), file: filepath.Join(t.TempDir(), "key.json"), now: time.Now()}
	w.admin = []string{"Bearer " + s.AddPAT(s.AddMachineUser(t.Name()+" admin", "IAM_OWNER"))}
	return w
}

// register has ZITADEL know a key of the user that nobody here made, and
// returns its id and its key file.
func (w *world) register() (string, []byte) {
	w.t.Helper()
	public, err := pairs()[2].PublicPEM()
	if err != nil {
		w.t.Fatal(err)
	}
	expiry := time.Now().AddDate(1, 0, 0).Truncate(time.Second)
	id, err := zitadel.New(w.s.Issuer(), nil, http.DefaultTransport).AddKey(context.Background(), w.admin, w.user, public, expiry)
	if err != nil {
		w.t.Fatal(err)
	}
	content, err := pairs()[2].File(w.user, id, expiry)
	if err != nil {
		w.t.Fatal(err)
	}
	return id, content
}

// keyed puts such a key into the key file and returns its id.
func (w *world) keyed() string {
	w.t.Helper()
	id, content := w.register()
	if err := os.WriteFile(w.file, content, 0o640); err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) inFile() *serviceuser.KeyFile {
	w.t.Helper()
	content, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := serviceuser.ParseKeyFile(content)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// RoundTrip loses answers about keys while told to.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.(*http.Transport).RoundTrip(r)
	w.mu.Lock()
	lose := w.lose
	w.mu.Unlock()
	if err == nil && lose && filepath.Base(r.URL.Path) == "AddKey" {
		_ = res.Body.Close()
		return nil, errors.New("the answer was lost")
	}
	return res, err
}

func (w *world) loseAnswers(lose bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = lose
}

// pairs are few: making one takes a while.
var pairs = sync.OnceValue(func() []keys.Pair {
	var all []keys.Pair
	for range 3 {
		p, err := keys.Generate()
		if err != nil {
			panic(err)
		}
		all = append(all, p)
	}
	return all
})

func (w *world) keeper() *keys.Keeper {
	made := 0
	return &keys.Keeper{
		File:     w.file,
		Tokens:   serviceuser.Config{Name: "reader", Issuer: w.s.Issuer()}, // by the wall clock: ZITADEL's
		Registry: zitadel.New(w.s.Issuer(), nil, w),
		Plan:     keys.Plan{Every: 30 * 24 * time.Hour, BeforeExpiry: 7 * 24 * time.Hour, Lifetime: 90 * 24 * time.Hour, Grace: time.Hour},
		Clock:    w.clock,
		Generate: func() (keys.Pair, error) { made++; return pairs()[made%2], nil },
	}
}

// step takes a step that must succeed.
func (w *world) step(forced bool) keys.Outcome {
	w.t.Helper()
	out, err := w.keeper().Step(context.Background(), forced)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// settled checks that the key file holds a key that works, that ZITADEL has
// just the given ones and it, and that nothing is left beside the key file.
func (w *world) settled(others ...string) {
	w.t.Helper()
	key := w.inFile()
	if _, err := serviceuser.Fetch(context.Background(), serviceuser.Config{Name: "reader", Issuer: w.s.Issuer()}, key); err != nil {
		w.t.Errorf("locked out: %v", err)
	}
	want := append([]string{key.KeyID}, others...)
	slices.Sort(want)
	if got := w.s.Keys(w.user); !slices.Equal(got, want) {
		w.t.Errorf("ZITADEL has keys %v, want %v", got, want)
	}
	entries, err := os.ReadDir(filepath.Dir(w.file))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "key.json" && name != "key.json.lock" {
			w.t.Errorf("%s is left", name)
		}
	}
}
