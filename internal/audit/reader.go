package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// maxLine is above what the longest record can take: each byte of each string
// becomes six at most in JSON.
const maxLine = 64 << 10

// Reader reads records back, one line at a time.
type Reader struct {
	lines  *bufio.Scanner
	fields []string
	line   int
}

// NewReader returns a Reader of what a [Log] wrote.
func NewReader(in io.Reader) *Reader {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	return &Reader{lines: lines, fields: Fields()}
}

// Read returns the next record, and io.EOF after the last. Any other error
// names the line and what is wrong with it: a field that is unknown, out of
// order, there twice or of another type, or a field that must be there and is
// not. Reading can go on with the next line. Empty lines are passed over.
func (r *Reader) Read() (Record, error) {
	for r.lines.Scan() {
		r.line++
		if len(r.lines.Bytes()) == 0 {
			continue
		}
		record, err := r.parse(r.lines.Bytes())
		if errors.Is(err, io.EOF) { // of the line; io.EOF alone is the end of the records
			err = errors.New("not whole; a write may have been cut off there")
		}
		if err != nil {
			return Record{}, fmt.Errorf("reading audit record in line %d: %w", r.line, err)
		}
		return record, nil
	}
	if err := r.lines.Err(); err != nil {
		return Record{}, fmt.Errorf("reading audit record in line %d: %w", r.line+1, err)
	}
	return Record{}, io.EOF
}

// ReadAll reads records to the end or to the first error, which comes with the
// records before it.
func ReadAll(in io.Reader) ([]Record, error) {
	var all []Record
	for r := NewReader(in); ; {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, record)
	}
}

func (r *Reader) parse(line []byte) (Record, error) {
	var record Record
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return record, errors.New("not a JSON object; a write may have been cut off there")
	}
	last := -1
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return record, fmt.Errorf("not whole: %w", err)
		}
		name, _ := t.(string)
		at := slices.Index(r.fields, name)
		if at < 0 {
			return record, fmt.Errorf("unknown field %q", name)
		}
		if at <= last {
			return record, fmt.Errorf("field %q stands out of order or twice", name)
		}
		last = at
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return record, fmt.Errorf("field %q: %w", name, err)
		}
		if err := set(&record, name, value); err != nil {
			return record, fmt.Errorf("field %q: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return record, fmt.Errorf("not whole: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return record, errors.New("something follows the object")
	}
	return record, complete(&record)
}

func complete(r *Record) error {
	switch {
	case r.Time.IsZero():
		return errors.New("field \"time\" is missing")
	case r.Seq == 0:
		return errors.New("field \"seq\" is missing")
	case r.Kind != Intent && r.Kind != Outcome:
		return fmt.Errorf("field \"kind\" is %q, it must be intent or outcome", r.Kind)
	}
	return nil
}

// set puts value, which is valid JSON, into the field called name.
func set(r *Record, name string, value json.RawMessage) error {
	if string(value) == "null" {
		return errors.New("null stands for nothing here")
	}
	switch name {
	case FieldTime:
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return err
		}
		t, err := time.Parse(timeLayout, s)
		r.Time = t
		return err
	case FieldDuration:
		return setDuration(&r.Duration, value)
	case FieldUpstream:
		return setDuration(&r.Upstream, value)
	}
	return json.Unmarshal(value, target(r, name))
}

func setDuration(d *time.Duration, value json.RawMessage) error {
	var ms float64
	if err := json.Unmarshal(value, &ms); err != nil {
		return err
	}
	us := math.Round(ms * 1000)
	if math.Abs(us) > math.MaxInt64/1000 {
		return fmt.Errorf("%v ms is no duration", ms)
	}
	*d = time.Duration(us) * time.Microsecond
	return nil
}

// target is where the value of a field goes that JSON can set by itself.
func target(r *Record, name string) any {
	switch name {
	case FieldSeq:
		return &r.Seq
	case FieldKind:
		return &r.Kind
	case FieldStatus:
		return &r.Status
	case FieldUpstreamStatus:
		return &r.UpstreamStatus
	case FieldAttempts:
		return &r.Attempts
	case FieldBytesIn:
		return &r.BytesIn
	case FieldBytesOut:
		return &r.BytesOut
	}
	return textTarget(r, name)
}

func textTarget(r *Record, name string) *string {
	texts := map[string]*string{
		FieldID: &r.ID, FieldListener: &r.Listener, FieldCaller: &r.Caller, FieldThumbprint: &r.Thumbprint,
		FieldPeer: &r.Peer, FieldProtocol: &r.Protocol, FieldMethod: &r.Method, FieldPath: &r.Path,
		FieldOperation: &r.Operation, FieldOrganization: &r.Organization, FieldEffect: &r.Effect,
		FieldReason: &r.Reason, FieldRule: &r.Rule, FieldShadow: &r.Shadow, FieldServiceUser: &r.ServiceUser,
		FieldGRPCStatus: &r.GRPCStatus, FieldTraceID: &r.TraceID, FieldUpstreamRequestID: &r.UpstreamRequestID,
	}
	return texts[name]
}
