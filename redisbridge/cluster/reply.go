package cluster

// item is a part of a script's answer; nil if it has no such one.
func item(reply []any, i int) any {
	if i < len(reply) {
		return reply[i]
	}
	return nil
}

func textOf(reply []any, i int) string {
	text, _ := item(reply, i).(string)
	return text
}

func textsOf(reply any) (texts []string) {
	list, _ := reply.([]any)
	for i := range list {
		texts = append(texts, textOf(list, i))
	}
	return texts
}
