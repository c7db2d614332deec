package main

import (
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in cents, so that sums stay exact.
type Money int64

// String is the amount with two decimals, as wallets carry it: "120.50".
func (m Money) String() string {
	return fmt.Sprintf("%d.%02d", m/100, m%100)
}

// MarshalJSON writes the number that PHP would write for the same float:
// 1200.5 and 1500, without trailing zeros.
func (m Money) MarshalJSON() ([]byte, error) {
	return []byte(strings.TrimSuffix(strings.TrimRight(m.String(), "0"), ".")), nil
}

// UnmarshalJSON reads a number of at most two decimals.
func (m *Money) UnmarshalJSON(text []byte) error {
	whole, cents, _ := strings.Cut(string(text), ".")
	if len(cents) > 2 {
		return fmt.Errorf("amount %s has more than two decimals", text)
	}
	n, err := strconv.ParseUint(whole+(cents + "00")[:2], 10, 40)
	if err != nil {
		return fmt.Errorf("amount %.20s is not a number such as 1200.50", text)
	}
	*m = Money(n)
	return nil
}
