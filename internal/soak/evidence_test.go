package soak_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/gateway"
)

// keys is what each of the service user's keys in ZITADEL is to the gateway.
func (w *world) keys(t *testing.T) []string {
	t.Helper()
	cfg, err := w.read()
	check(t, err)
	k, err := gateway.Keeper(cfg, cfg.ServiceUsers[0])
	check(t, err)
	all, err := k.List(context.Background())
	check(t, err)
	var states []string
	for _, key := range all {
		states = append(states, string(key.State))
	}
	return states
}

// outcomes is how many requests the audit log tells the outcome of.
func (w *world) outcomes(t *testing.T) (n int64) {
	t.Helper()
	f, err := os.Open(filepath.Join(w.dir, "audit.jsonl"))
	check(t, err)
	defer f.Close()
	for r := audit.NewReader(f); ; {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return n
		}
		check(t, err)
		if record.Kind == audit.Outcome {
			n++
		}
	}
}

// metric is the value of one series of the gateway's.
func (w *world) metric(t *testing.T, series string) int {
	t.Helper()
	res, err := http.Get("http://" + w.Address("admin").String() + "/metrics")
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	_, after, found := strings.Cut(string(text), "\n"+series+" ")
	line, _, _ := strings.Cut(after, "\n")
	value, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		t.Fatalf("no series %s: %v", series, err)
	}
	return int(value)
}
