//! The growing DAG of a job's tasks, and what each task costs: pure.
