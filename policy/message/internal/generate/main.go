// Command generate writes descriptors.binpb.gz: the shape of every request
// message of ZITADEL's RPCs, from the descriptors in zitadel-go.
//
// It runs in the directory of package message. What does not change how a
// request is read is left out: comments, options, responses.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/zproxy/zproxy/internal/descriptors" // what is walked
)

const file = "descriptors.binpb.gz"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	set, err := requests(protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return fmt.Errorf("writing descriptors: %w", err)
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(plain); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}
