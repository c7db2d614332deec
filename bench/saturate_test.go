package main

import (
	"errors"
	"slices"
	"testing"
)

func TestHighest(t *testing.T) {
	for name, test := range map[string]struct {
		first, limit int
		tries        []int
		want         int
	}{
		"above the first": {80, 130, []int{80, 120, 180, 150, 135, 127}, 127},
		"below the first": {80, 50, []int{80, 40, 60, 50}, 50},
		"nothing is good": {8, 0, []int{8, 4, 2, 1}, 0},
		"no room between": {1, 1, []int{1, 2}, 1},
	} {
		var tries []int
		got, err := highest(test.first, func(rate int) (bool, error) {
			tries = append(tries, rate)
			return rate <= test.limit, nil
		})
		if err != nil || got != test.want || !slices.Equal(tries, test.tries) {
			t.Errorf("%s: %d after %v, %v; want %d after %v", name, got, tries, err, test.want, test.tries)
		}
	}
	broken := errors.New("broken")
	if _, err := highest(1, func(int) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}
