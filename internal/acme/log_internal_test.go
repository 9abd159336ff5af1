package acme

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The bridge is not exported, so these tests stand inside the package.

func TestLevelsOfZapBecomeThoseOfZerolog(t *testing.T) {
	var out bytes.Buffer
	logger := bridge(zerolog.New(&out), contains(""))
	for _, f := range []struct {
		write func(string, ...zap.Field)
		want  string
	}{
		{logger.Debug, "debug"}, {logger.Info, "info"}, {logger.Warn, "warn"}, {logger.Error, "error"}, {logger.DPanic, "error"},
	} {
		out.Reset()
		f.write("m")
		if want := `{"level":"` + f.want + `","message":"m"}` + "\n"; out.String() != want {
			t.Errorf("got %s want %s", out.String(), want)
		}
	}
}

func TestALevelThatIsOffWritesNothing(t *testing.T) {
	var out bytes.Buffer
	logger := bridge(zerolog.New(&out).Level(zerolog.WarnLevel), contains(""))
	logger.Debug("m")
	logger.Info("m")
	if logger.Core().Enabled(zapcore.InfoLevel) || out.Len() != 0 {
		t.Errorf("it wrote %s", out.String())
	}
	logger.Warn("m")
	if out.Len() == 0 {
		t.Error("it wrote no warning")
	}
}

func TestFieldsKeepTextsAndNumbersOnly(t *testing.T) {
	var out bytes.Buffer
	parent := bridge(zerolog.New(&out), contains("")).Named("obtain").With(zap.String("host", "a.example"))
	parent.With(zap.String("sibling", "x")) // must not reach the next record
	parent.Info("m",
		zap.Strings("names", []string{"a", "b"}), zap.Int("n", 7), zap.Bool("ok", true), zap.Error(errors.New("why")),
		zap.Duration("after", time.Second), zap.Time("at", time.Unix(0, 0).UTC()),
		zap.Any("headers", http.Header{"Replay-Nonce": {"canary"}}), zap.Binary("raw", []byte("canary")),
		zap.ByteString("bytes", []byte("canary")), zap.Any("account", struct{ Token string }{"canary"}),
		zap.Any("map", map[string]string{"k": "canary"}))
	got := out.String()
	for _, want := range []string{
		`"level":"info"`, `"certmagic":"obtain"`, `"host":"a.example"`, `"names":["a","b"]`, `"n":7`, `"ok":true`,
		`"error":"why"`, `"at":"1970-01-01T00:00:00Z"`, `"message":"m"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	for _, unwanted := range []string{"canary", "sibling"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("%s is in %s", unwanted, got)
		}
	}
}

func TestTextsWithSecretsAreHiddenAndLongOnesCut(t *testing.T) {
	var out bytes.Buffer
	logger := bridge(zerolog.New(&out), contains("mac-canary"))
	logger.Error("got mac-canary", zap.String("a", "x mac-canary y"), zap.Strings("b", []string{"mac-canary"}),
		zap.Error(errors.New("-----BEGIN EC PRIVATE KEY-----\ncanary")), zap.String("long", strings.Repeat("é", maxText)))
	if got := out.String(); strings.Contains(got, "canary") || strings.Count(got, "[redacted]") != 4 || len(got) > 2*maxText {
		t.Errorf("it wrote %s", got)
	}
}
