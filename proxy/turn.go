package proxy

import "context"

// largeBody is from how many bytes on a body waits for its caller's turn. A
// megabyte of small fields takes a tenth of a second of a processor: a caller
// that sends many waits for its own, and the others do not wait behind all of them.
const largeBody = 16 << 10

// await waits for the caller's turn to have a large body read and judged, which
// ends with [exchange.judged].
func (x *exchange) await() error {
	form := x.bodyForm()
	squeezed := compressed(form.contentEncoding) || compressed(form.messageEncoding)
	if x.endTurn != nil || len(x.whole) < largeBody && !squeezed {
		return nil
	}
	ctx, cancel := context.WithTimeout(x.in.Context(), wholeBodyTime)
	defer cancel()
	end, ok := x.turns.Wait(ctx, x.record.Caller)
	if !ok {
		return errTurn
	}
	x.endTurn = end
	return nil
}

func compressed(encoding string) bool { return encoding != "" && encoding != "identity" }

// judged ends the caller's turn.
func (x *exchange) judged() {
	if x.endTurn != nil {
		x.endTurn()
		x.endTurn = nil
	}
}
