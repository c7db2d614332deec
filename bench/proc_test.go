package main

import "testing"

func TestProcField(t *testing.T) {
	const text = "MemTotal:        8000000 kB\nSlab:             441648 kB\nSReclaimable: 1 kB\n"
	if got := procField(text, "Slab"); got != 441648*kib {
		t.Errorf("Slab is %g", got)
	}
	if got := procField(text, "VmHWM"); got != 0 {
		t.Errorf("what isn't there is %g", got)
	}
}
