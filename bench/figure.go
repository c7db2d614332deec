package main

// figure is one thing that was measured.
type figure struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit,omitempty"`
	Demand   *demand `json:"demand,omitempty"` // nil: told for comparison only
	Met      bool    `json:"met"`              // true without a demand
}

// demand is what a figure must be.
type demand struct {
	Relation relation `json:"relation"`
	Limit    float64  `json:"limit"`
}

type relation string

const (
	below   relation = "<"
	atMost  relation = "<="
	atLeast relation = ">="
	exactly relation = "="
)

func (d demand) metBy(value float64) bool {
	switch d.Relation {
	case below:
		return value < d.Limit
	case atMost:
		return value <= d.Limit
	case exactly:
		return value == d.Limit
	}
	return value >= d.Limit
}

// told is a figure of which nothing is demanded.
func told(name string, value float64, unit string) figure {
	return figure{Name: name, Value: value, Unit: unit, Met: true}
}

// demanded is a figure that must stand in a relation to limit.
func demanded(name string, value float64, unit string, r relation, limit float64) figure {
	d := demand{r, limit}
	return figure{Name: name, Value: value, Unit: unit, Demand: &d, Met: d.metBy(value)}
}
