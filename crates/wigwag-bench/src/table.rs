//! Tables that a terminal and a document show the same: aligned Markdown. Knows nothing of what stands in them.

/// The number with a comma at every thousand.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The value as it is shown, or the sign for none.
pub(crate) fn cell<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// The columns of a table: header, least width, and whether numbers stand in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns(pub(crate) &'static [(&'static str, usize, bool)]);

impl Columns {
    /// The two lines above the rows.
    pub(crate) fn header(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let rules: Vec<String> = self
            .0
            .iter()
            .map(|&(_, width, numeric)| {
                let (dashes, end) = if numeric {
                    (width - 1, ":")
                } else {
                    (width, "")
                };
                format!("{}{end}", "-".repeat(dashes))
            })
            .collect();
        format!("{}\n{}", self.line(&names), self.line(&rules))
    }

    pub(crate) fn line(&self, cells: &[String]) -> String {
        let mut line = String::from("|");
        for (cell, &(_, width, numeric)) in cells.iter().zip(self.0) {
            let cell = if numeric {
                format!(" {cell:>width$} |")
            } else {
                format!(" {cell:<width$} |")
            };
            line.push_str(&cell);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ];
        for (number, expected) in cases {
            assert_eq!(thousands(number), expected);
        }
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let columns = Columns(&[("case", 6, false), ("n", 4, true)]);
        let line = columns.line(&["a".to_owned(), "12".to_owned()]);
        assert_eq!(
            format!("{}\n{line}", columns.header()),
            "| case   |    n |\n| ------ | ---: |\n| a      |   12 |"
        );
    }
}
