package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
)

// inflater unpacks the messages of connections without context takeover.
type inflater struct {
	packed []byte
	source bytes.Reader
	reader io.ReadCloser // made when first needed
	text   bytes.Buffer
}

// inflateTail ends what permessage-deflate sends (RFC 7692, section 7.2.2), and
// then the stream, which flate wants to have an end.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflate returns the message's text, which is valid until the next call.
func (i *inflater) inflate(packed []byte) ([]byte, error) {
	i.packed = append(append(i.packed[:0], packed...), inflateTail...)
	i.source.Reset(i.packed)
	if i.reader == nil {
		i.reader = flate.NewReader(&i.source)
	} else if err := i.reader.(flate.Resetter).Reset(&i.source, nil); err != nil {
		return nil, err
	}
	i.text.Reset()
	n, err := io.Copy(&i.text, io.LimitReader(i.reader, maxPayload+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("inflating a message of %d bytes: %w", len(packed), err)
	case n > maxPayload:
		return nil, fmt.Errorf("a message of %d bytes inflates to more than %d", len(packed), maxPayload)
	}
	return i.text.Bytes(), nil
}
