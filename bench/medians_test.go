package main

import (
	"reflect"
	"testing"
)

func TestMedians(t *testing.T) {
	var m medians
	for _, v := range []float64{3, 1, 2} {
		m.add("b", v, "µs")
		m.add("a", 10*v, "")
	}
	if got := m.last("b"); got != 2 {
		t.Errorf("the last is %g", got)
	}
	if got, want := m.figures(), []figure{told("b", 2, "µs"), told("a", 20, "")}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
