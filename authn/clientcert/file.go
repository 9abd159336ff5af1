package clientcert

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// What is read of a file at most. A CRL of a million certificates has about 40 MiB.
const (
	maxCAFile  = 8 << 20
	maxCRLFile = 128 << 20
)

// readFile reads a file whole. Links are followed: mounted secrets are links.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w; create the file, or let the user that zproxy runs as read it", err)
	}
	// Before opening: opening a named pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file; name a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; let the user that zproxy runs as read it", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	switch {
	case int64(len(data)) > most:
		return nil, fmt.Errorf("it is larger than %d MiB; is it the right file?", most>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("it is empty; write it in full and then rename it into place")
	}
	return data, nil
}

var pemBegin = []byte("-----BEGIN ")

// splitPEM returns the content of each block of data. [pem.Decode] would pass
// over whatever it cannot read, a damaged block among it, and a CA or a CRL
// would be missing without a word.
func splitPEM(data []byte, kind string) ([][]byte, error) {
	var blocks [][]byte
	for rest := bytes.TrimSpace(data); len(rest) > 0; {
		nth := len(blocks) + 1
		if !bytes.HasPrefix(rest, pemBegin) {
			return nil, fmt.Errorf("before block %d stands what is no PEM; leave nothing but %s blocks and white space", nth, kind)
		}
		block, after := pem.Decode(rest)
		if block == nil || bytes.Count(rest[:len(rest)-len(after)], pemBegin) != 1 {
			return nil, fmt.Errorf("block %d is damaged; write the file anew", nth)
		}
		if block.Type != kind || len(block.Headers) > 0 {
			return nil, fmt.Errorf("block %d is %.40q, or has headers; leave nothing but %s blocks", nth, block.Type, kind)
		}
		blocks, rest = append(blocks, block.Bytes), bytes.TrimSpace(after)
	}
	return blocks, nil
}
