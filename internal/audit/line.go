package audit

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// line takes one rendered record from zerolog. zerolog hands write errors to a
// global handler and nobody else, so it writes here, which cannot fail, and
// [Log] does the writing.
type line struct {
	text  []byte
	stamp [len(timeLayout) + 8]byte
}

func (l *line) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	return len(p), nil
}

// render puts the line of r, newline included, into l.text.
func (l *line) render(logger *zerolog.Logger, r *Record, seq uint64, at time.Time) {
	e := logger.Log().
		Bytes(FieldTime, at.UTC().AppendFormat(l.stamp[:0], timeLayout)).
		Uint64(FieldSeq, seq).
		Str(FieldID, clean(r.ID, MaxText)).
		Str(FieldKind, string(r.Kind))
	text(e, FieldListener, r.Listener)
	text(e, FieldCaller, r.Caller)
	text(e, FieldThumbprint, r.Thumbprint)
	text(e, FieldPeer, r.Peer)
	text(e, FieldProtocol, r.Protocol)
	text(e, FieldMethod, r.Method)
	if r.Path != "" {
		e.Str(FieldPath, clean(r.Path, MaxPath))
	}
	text(e, FieldOperation, r.Operation)
	text(e, FieldOrganization, r.Organization)
	text(e, FieldEffect, r.Effect)
	text(e, FieldReason, r.Reason)
	text(e, FieldRule, r.Rule)
	text(e, FieldShadow, r.Shadow)
	text(e, FieldServiceUser, r.ServiceUser)
	if r.Kind == Outcome {
		outcome(e, r)
	}
	text(e, FieldTraceID, r.TraceID)
	if r.Kind == Outcome {
		text(e, FieldUpstreamRequestID, r.UpstreamRequestID)
	}
	e.Send()
}

// outcome renders what an intent record cannot know.
func outcome(e *zerolog.Event, r *Record) {
	number(e, FieldStatus, int64(r.Status))
	number(e, FieldUpstreamStatus, int64(r.UpstreamStatus))
	text(e, FieldGRPCStatus, r.GRPCStatus)
	number(e, FieldAttempts, int64(r.Attempts))
	number(e, FieldBytesIn, r.BytesIn)
	number(e, FieldBytesOut, r.BytesOut)
	if ms := milliseconds(r.Duration); ms != 0 {
		e.Float64(FieldDuration, ms)
	}
	if ms := milliseconds(r.Upstream); ms != 0 {
		e.Float64(FieldUpstream, ms)
	}
}

func text(e *zerolog.Event, field, s string) {
	if s != "" {
		e.Str(field, clean(s, MaxText))
	}
}

func number(e *zerolog.Event, field string, n int64) {
	if n != 0 {
		e.Int64(field, n)
	}
}

const cutMark = "…"

// clean returns s in at most limit bytes of valid UTF-8. Bytes that are not
// UTF-8 become \xNN, and characters that a terminal acts upon instead of
// showing them (C1 controls, direction overrides, line separators) \uNNNN; what
// JSON itself escapes is left to JSON.
func clean(s string, limit int) string {
	if plain(s) && len(s) <= limit {
		return s
	}
	out := make([]byte, 0, min(limit, 4*len(s)))
	fits := 0 // bytes of out that leave room for the mark
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			const hex = "0123456789abcdef"
			out = append(out, '\\', 'x', hex[s[i]>>4], hex[s[i]&15])
		case r >= utf8.RuneSelf && !strconv.IsPrint(r):
			quoted := strconv.QuoteRuneToASCII(r)
			out = append(out, quoted[1:len(quoted)-1]...)
		default:
			out = append(out, s[i:i+size]...)
		}
		if len(out) > limit {
			return string(append(out[:fits], cutMark...))
		}
		if len(out) <= limit-len(cutMark) {
			fits = len(out)
		}
		i += size
	}
	return string(out)
}

// plain says that s has nothing for clean to replace; ASCII is for JSON to escape.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
