package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"
)

// newLog is the operator's log from level on: for people on a terminal, for
// programs elsewhere.
func newLog(w io.Writer, format, level string) (zerolog.Logger, error) {
	from, ok := map[string]zerolog.Level{"debug": zerolog.DebugLevel, "info": zerolog.InfoLevel, "warn": zerolog.WarnLevel, "error": zerolog.ErrorLevel}[level]
	if !ok {
		return zerolog.Nop(), usage("use debug, info, warn or error", "unknown log level %q", level)
	}
	switch format {
	case "auto":
		if isTerminal(w) {
			return newLog(w, "console", level)
		}
	case "console":
		w = zerolog.ConsoleWriter{
			Out: w, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w) || os.Getenv("NO_COLOR") != "",
			FormatMessage: oneLine, FormatCaller: oneLine, // whose default is made for a place in source code
		}
	case "json":
	default:
		return zerolog.Nop(), usage("use console, json or auto", "unknown log format %q", format)
	}
	return zerolog.New(w).Level(from).With().Timestamp().Logger(), nil
}

// oneLine shows a message on the line that is its own: what a caller sent may
// stand in it, and line ends or escape sequences would make lines that zproxy
// never wrote (CVE-2024-45808). The console quotes the values of fields itself.
func oneLine(message any) string {
	if message == nil {
		return ""
	}
	var line strings.Builder
	for _, r := range fmt.Sprint(message) {
		if unicode.IsPrint(r) {
			line.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		line.WriteString(quoted[1 : len(quoted)-1])
	}
	return line.String()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
