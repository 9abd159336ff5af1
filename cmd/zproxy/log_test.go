package main

import (
	"bytes"
	"strings"
	"testing"
)

// A message can quote what a caller sent; no caller writes lines of the log.
func TestNoMessageMakesALineOfItsOwn(t *testing.T) {
	for _, format := range []string{"console", "json"} {
		var out bytes.Buffer
		log, err := newLog(&out, format, "info")
		if err != nil {
			t.Fatal(err)
		}
		log.Warn().Str("caller", "dns:a\n12:00:00 INF all is well").Msg("refused: \"x\r\n12:00:00 INF listening\x1b[2J\u202e\u2028\x00\" höflich")
		text := out.String()
		if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\r\x1b\x00\u202e\u2028") && format == "console" || !strings.Contains(text, "höflich") {
			t.Errorf("%s: %q", format, text)
		}
	}
}

func TestTheLevelIsTheLeastThatIsTold(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		var out bytes.Buffer
		log, err := newLog(&out, "json", level)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug().Msg("d")
		log.Info().Msg("i")
		log.Warn().Msg("w")
		log.Error().Msg("e")
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%s: %d lines, want %d", level, got, want)
		}
	}
}
