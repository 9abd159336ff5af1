package operation

// LoadAgain reads the table anew, past the once of [Default].
func LoadAgain() error {
	_, err := parse(table)
	return err
}
