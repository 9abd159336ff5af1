package operation

import "strings"

// Resolve names the operation that r would make ZITADEL perform, and the path
// and query that make it do so. It copies what ZITADEL does or refuses: nothing
// that it accepts is repaired, cleaned or read in a second way. Every error is
// an [*Error]; Protocol is set then, too.
func (c *Catalogue) Resolve(r Request) (Resolved, error) {
	path, query, hasQuery := strings.Cut(r.Target, "?")
	out := Resolved{Protocol: protocolOf(path, r.ContentType)}
	err := checkQuery(query)
	switch {
	case err != nil:
	case isRPC(path):
		err = c.resolveRPC(&out, r, path)
	default:
		err = c.resolveRoute(&out, r, path, query, hasQuery)
	}
	if err != nil {
		return Resolved{Protocol: out.Protocol}, err
	}
	return out, nil
}

// resolveRPC takes an RPC path exactly: the leading slash and the full name,
// in the only spelling it has (compare CVE-2026-33186).
func (c *Catalogue) resolveRPC(out *Resolved, r Request, path string) *Error {
	op := c.byName[Name(path[1:])]
	if op == nil || op.surface == notRPC {
		return unknownRPC(path)
	}
	if r.Method != "POST" {
		return fail(ReasonMethodNotAllowed, "RPC paths take POST only")
	}
	json, err := rpcBody(op, r.ContentType)
	if err != nil {
		return err
	}
	out.Operation, out.JSON, out.Path, out.BodyIsMessage = op, json, path, true
	return nil
}

func unknownRPC(path string) *Error {
	if _, err := decodePath(path); err != nil {
		return err
	}
	if strings.IndexByte(path, '%') >= 0 {
		return fail(ReasonNotCanonical, "the path escapes characters of an RPC's name; write them as they are")
	}
	return fail(ReasonUnknownOperation, "this build knows no RPC by that name; if ZITADEL has it, add it to the unlisted operations")
}

// resolveRoute takes a REST path, or one of an operation without descriptor.
func (c *Catalogue) resolveRoute(out *Resolved, r Request, path, query string, hasQuery bool) *Error {
	decoded, err := decodePath(path)
	if err != nil {
		return err
	}
	if len(decoded) != len(path) && isRPC(decoded) {
		return unknownRPC(path)
	}
	var f found
	c.root.match(decoded, methodIndex(r.Method), &f)
	switch {
	case f.order == 0 && f.other:
		return fail(ReasonMethodNotAllowed, "no operation has this path with this method; the path exists with another")
	case f.order == 0:
		return fail(ReasonUnknownOperation, "this build knows no operation with this path")
	}
	route := &c.routes[f.order-1]
	if err := route.capture(out, path, decoded); err != nil {
		return err
	}
	if err := routeBody(route.accepts, r.ContentType); err != nil {
		return err
	}
	if err := route.takeQuery(out, query, hasQuery); err != nil {
		return err
	}
	out.Operation, out.Protocol = route.operation, route.protocol
	out.JSON = route.accepts != acceptsUpload
	out.BodyIsMessage = route.accepts == acceptsJSON
	return nil
}

// takeQuery keeps the query only where fields of the message come from it. On a
// route with a body it could fill fields beside the body, and is dropped.
func (t *route) takeQuery(out *Resolved, query string, hasQuery bool) *Error {
	switch {
	case query == "":
		return nil
	case t.query:
		var err *Error
		out.QueryPairs, out.Query, err = parseQuery(query)
		return err
	case hasQuery && t.protocol == OIDC:
		return fail(ReasonBadQuery, "OpenID Connect paths take no query here; a token in it would be used in place of the header")
	}
	return nil
}

// capture fills the variables and the path that goes upstream, from the raw
// path and its decoded form: literals of the template must be spelled as they
// are, values are decoded once and escaped anew.
func (t *route) capture(out *Resolved, raw, decoded string) *Error {
	escaped := len(raw) != len(decoded)
	out.Path = raw
	var rebuilt []byte
	if escaped {
		rebuilt = make([]byte, 0, len(raw)+8)
	}
	out.Variables = make([]Variable, 0, t.variables)
	for _, s := range t.segments {
		var rawPart, part string
		if s.rest {
			rawPart, part, raw, decoded = strings.TrimPrefix(raw, "/"), strings.TrimPrefix(decoded, "/"), "", ""
			if part == "" {
				return fail(ReasonUnknownOperation, "the path ends where ZITADEL expects a value")
			}
		} else {
			rawPart, raw = nextSegment(raw)
			part, decoded = nextSegment(decoded)
		}
		if s.field != "" {
			out.Variables = append(out.Variables, Variable{Field: s.field, Value: part})
		} else if rawPart != part {
			return fail(ReasonNotCanonical, "the path escapes characters of a fixed segment; write them as they are")
		}
		if escaped {
			rebuilt = appendSegment(append(rebuilt, '/'), part)
		}
	}
	if escaped {
		out.Path = string(rebuilt)
	}
	return nil
}

// nextSegment cuts the first segment off a path that starts with a slash.
func nextSegment(path string) (segment, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}
