package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -0.503, first: 1, second: 0.2, limits: limits{soft: -0.419, hard: 0.595}}
	definitionCombination = combination{gate: -0.159, first: 1, second: 0.2, limits: limits{soft: -0.522, hard: 1.223}}
)
