package audit_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
)

var update = flag.Bool("update", false, "write golden files")

func clock() time.Time { return time.Date(2026, 3, 1, 9, 30, 0, 123456000, time.UTC) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// full has every field set, with values that survive being written.
func full() audit.Record {
	return audit.Record{
		Kind: audit.Outcome, ID: "01J", Time: clock(), Listener: "sidecar", Caller: "unix:crm", Thumbprint: "x5t",
		Peer: "uid=1001 gid=1001 pid=77", Protocol: "rest", Method: "POST", Path: "/v2/users/1/lock",
		Operation: "zitadel.user.v2.UserService/LockUser", Organization: "287", Effect: "allow", Reason: "rule",
		Rule: "crm-locks", Shadow: "crm-all", ServiceUser: "provisioner", Status: 200, UpstreamStatus: 200,
		GRPCStatus: "0", Attempts: 1, BytesIn: 2, BytesOut: 40, Duration: 12345 * time.Microsecond,
		Upstream: 11 * time.Millisecond, TraceID: "0af7651916cd43dd8448eb211c80319c", UpstreamRequestID: "z-77",
	}
}

func records() []audit.Record {
	intent := full()
	intent.Kind = audit.Intent
	return []audit.Record{
		full(), intent,
		{Kind: audit.Outcome, ID: "02", Effect: "deny", Reason: "malformed_request", Status: 400},
		{Kind: audit.Outcome, ID: "03", Path: "/" + strings.Repeat("é", 600), Peer: strings.Repeat("p", 300)},
		{Kind: audit.Outcome, ID: "04", Path: "/a\"b\\c\n\x00\x7f\xff\u009b\u202e"},
		{Kind: audit.Outcome, ID: "05", Time: time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600))},
	}
}

func TestLinesAreAsTheGoldenFileAndHaveOnlyTheFieldsOfTheList(t *testing.T) {
	var out bytes.Buffer
	l, err := audit.Open(audit.Options{Writer: &out, Clock: clock})
	check(t, err)
	for _, r := range records() {
		check(t, l.Write(&r))
	}
	golden := filepath.Join("testdata", "records.jsonl")
	if *update {
		check(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", out.Bytes(), want)
	}
	read, err := audit.ReadAll(bytes.NewReader(want)) // refuses what the list does not have
	check(t, err)
	expected := full()
	expected.Seq = 1
	if !reflect.DeepEqual(read[0], expected) {
		t.Errorf("read back\n%+v\nwant\n%+v", read[0], expected)
	}
	if r := read[1]; r.Status != 0 || r.Attempts != 0 || r.UpstreamRequestID != "" {
		t.Errorf("the intent record knows the outcome: %+v", r)
	}
	if n := len(read[3].Path); n > audit.MaxPath || !strings.HasSuffix(read[3].Path, "é…") {
		t.Errorf("path of %d bytes", n)
	}
	first := strings.SplitN(out.String(), "\n", 2)[0]
	for _, name := range audit.Fields() {
		if !strings.Contains(first, `"`+name+`":`) {
			t.Errorf("a full record has no %s", name)
		}
	}
}

func TestReaderRefusesWhatNoLogWrites(t *testing.T) {
	const head = `{"time":"2026-03-01T09:30:00.000000Z","seq":1,"id":"1","kind":"outcome"`
	for _, line := range []string{
		head, head + `,"secret":"x"}`, head + `,"kind":"outcome"}`, head + `,"status":"200"}`, head + `,"rule":null}`,
		head + `,"Rule":"x"}`, head + `,"rule":"x","peer":"y"}`, head + `} {}`, `[]`, `null`,
		`{"seq":1,"id":"1","kind":"outcome"}`, strings.Replace(head, "outcome", "other", 1) + `}`,
	} {
		if _, err := audit.NewReader(strings.NewReader(line + "\n")).Read(); err == nil || err == io.EOF {
			t.Errorf("accepted %s", line)
		}
	}
}

func TestNewFilesArePrivateAndSeqIsLineOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(audit.Options{File: file})
	check(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				r := full()
				if err := l.Write(&r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	check(t, l.Close())
	info, err := os.Stat(file)
	check(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	f, err := os.Open(file)
	check(t, err)
	defer f.Close()
	read, err := audit.ReadAll(f)
	check(t, err)
	if len(read) != 800 {
		t.Fatalf("%d records", len(read))
	}
	for i, r := range read {
		if r.Seq != uint64(i+1) {
			t.Fatalf("line %d has seq %d", i+1, r.Seq)
		}
	}
	r := full()
	if err := l.Write(&r); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

func TestFullDiskIsAnErrorAndUnhealthy(t *testing.T) {
	l, err := audit.Open(audit.Options{File: "/dev/full"})
	check(t, err)
	defer l.Close()
	r := full()
	if err := l.Write(&r); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
		t.Errorf("write: %v", err)
	}
	if l.Healthy() || !errors.Is(l.Err(), syscall.ENOSPC) {
		t.Errorf("healthy %v, err %v", l.Healthy(), l.Err())
	}
}

func TestClosedPipeIsAnErrorNotASignal(t *testing.T) {
	in, out, err := os.Pipe()
	check(t, err)
	defer out.Close()
	check(t, in.Close())
	l, err := audit.Open(audit.Options{Writer: out})
	check(t, err)
	r := full()
	if err := l.Write(&r); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v", err)
	}
}

// halting takes half of a line while it is full.
type halting struct {
	bytes.Buffer
	full bool
}

func (h *halting) Write(p []byte) (int, error) {
	if h.full {
		n, _ := h.Buffer.Write(p[:len(p)/2])
		return n, syscall.ENOSPC
	}
	return h.Buffer.Write(p)
}

func TestPartialLineDoesNotSpoilTheNextAndHealthReturns(t *testing.T) {
	out := &halting{full: true}
	l, err := audit.Open(audit.Options{Writer: out})
	check(t, err)
	r := full()
	if l.Write(&r) == nil || l.Healthy() {
		t.Fatal("half a line counts as written")
	}
	out.full = false
	check(t, l.Write(&r))
	if !l.Healthy() || l.Err() != nil {
		t.Error("still unhealthy after a write")
	}
	reader := audit.NewReader(&out.Buffer)
	if _, err := reader.Read(); err == nil {
		t.Error("the torn line was accepted")
	}
	whole, err := reader.Read()
	check(t, err)
	if whole.Seq != 2 {
		t.Errorf("seq %d; the gap must show the lost record", whole.Seq)
	}
}

func TestTornEndOfAnEarlierProcessIsClosed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	check(t, os.WriteFile(file, []byte(`{"time":"20`), 0o600))
	l, err := audit.Open(audit.Options{File: file})
	check(t, err)
	r := full()
	check(t, l.Write(&r))
	check(t, l.Close())
	text, err := os.ReadFile(file)
	check(t, err)
	if !strings.HasPrefix(string(text), "{\"time\":\"20\n{") {
		t.Errorf("%s", text)
	}
}

func TestReopenFollowsRotationAndKeepsTheOldFileOnFailure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	check(t, os.Mkdir(dir, 0o700))
	file := filepath.Join(dir, "audit.jsonl")
	l, err := audit.Open(audit.Options{File: file})
	check(t, err)
	defer l.Close()
	check(t, os.Rename(dir, dir+".moved"))
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("reopen: %v", err)
	}
	r := full()
	check(t, l.Write(&r))
	check(t, os.Mkdir(dir, 0o700))
	check(t, l.Reopen())
	check(t, l.Write(&r))
	for i, name := range []string{dir + ".moved/audit.jsonl", file} {
		f, err := os.Open(name)
		check(t, err)
		read, err := audit.ReadAll(f)
		check(t, err)
		check(t, f.Close())
		if len(read) != 1 || read[0].Seq != uint64(i+1) {
			t.Errorf("%s: %+v", name, read)
		}
	}
}

func TestFaultyOptionsAndKindsAreRefused(t *testing.T) {
	for _, o := range []audit.Options{{}, {File: "-", Writer: io.Discard}, {File: "/nowhere/audit"}, {File: t.TempDir()}} {
		if _, err := audit.Open(o); err == nil {
			t.Errorf("opened %+v", o)
		}
	}
	l, err := audit.Open(audit.Options{Writer: io.Discard})
	check(t, err)
	if err := l.Write(&audit.Record{ID: "1"}); err == nil || !l.Healthy() {
		t.Errorf("a record without kind: %v, healthy %v", err, l.Healthy())
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, o := range []audit.Options{{File: filepath.Join(b.TempDir(), "audit.jsonl")}, {Writer: io.Discard}} {
		b.Run(fmt.Sprintf("file=%v", o.File != ""), func(b *testing.B) {
			l, err := audit.Open(o)
			check(b, err)
			defer l.Close()
			r := full()
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Write(&r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestALineThatIsCutOffIsNoEnd(t *testing.T) {
	for _, line := range []string{`{"time":`, `{"time"`, `{`, `{"time":"2026-03-30T10:00:00Z",`} {
		if _, err := audit.ReadAll(strings.NewReader(line + "\n")); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
