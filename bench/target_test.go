package main

import (
	"errors"
	"fmt"
	"testing"
)

func TestOnlyABrokenCrowdIsRenewed(t *testing.T) {
	broken, other := fmt.Errorf("%w: too slow", errBroken), errors.New("other")
	again := func() (*crowd, error) { return &crowd{}, nil }
	for name, test := range map[string]struct {
		err, want error
		again     func() (*crowd, error)
	}{
		"broken":            {broken, nil, again},
		"another error":     {other, other, again},
		"it can't be":       {broken, broken, nil},
		"it can't be again": {broken, other, func() (*crowd, error) { return nil, other }},
	} {
		first := &crowd{}
		ta := target{crowd: first, again: test.again}
		if err := ta.renew(test.err); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if renewed := ta.crowd != first; renewed != (test.want == nil) {
			t.Errorf("%s: the crowd is another: %t", name, renewed)
		}
	}
}
