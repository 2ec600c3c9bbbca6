"""Judge a bundle on labelled messages and on the challenge sets, beside baselines and other bundles, in one run."""
