package main

// medians are figures, each of which is measured in several rounds.
type medians struct {
	names  []string // in the order of their first values
	units  map[string]string
	values map[string][]float64
}

func (m *medians) add(name string, value float64, unit string) {
	if m.values == nil {
		m.units, m.values = map[string]string{}, map[string][]float64{}
	}
	if m.values[name] == nil {
		m.names = append(m.names, name)
		m.units[name] = unit
	}
	m.values[name] = append(m.values[name], value)
}

// last is the newest value of a figure that has some.
func (m *medians) last(name string) float64 {
	all := m.values[name]
	return all[len(all)-1]
}

func (m *medians) figures() []figure {
	all := make([]figure, len(m.names))
	for i, name := range m.names {
		all[i] = told(name, median(m.values[name]), m.units[name])
	}
	return all
}
