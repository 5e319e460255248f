//! The finished table, as CSV (RFC 4180) or Parquet.
//!
//! **Invariant**: the file appears whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::journal::Row;
use crate::failure::Failure;

/// Form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Parquet,
}

impl Form {
    /// As the ending of the file says.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            _ => {
                let said = "expected a file that ends in .csv or .parquet";
                Err(Failure::Usage(format!("-o {}: {said}", path.display())))
            }
        }
    }
}

/// One column.
enum Column<'a> {
    Text(Vec<&'a str>),
    Count(Vec<u64>),
    Number(Vec<Option<f64>>),
}

/// A table with named columns.
pub(super) struct Table<'a> {
    columns: Vec<(String, Column<'a>)>,
    rows: usize,
}

impl<'a> Table<'a> {
    /// Columns `set.KEY` for what is varied, then the run, then everything that any row measured.
    pub(super) fn new(keys: &[String], rows: &[&'a Row]) -> Self {
        let text = |of: &dyn Fn(&'a Row) -> &'a str| {
            Column::Text(rows.iter().map(|&row| of(row)).collect())
        };
        let mut columns = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            columns.push((format!("set.{key}"), text(&|row| &row.run.values[i])));
        }
        columns.push(("case".to_owned(), text(&|row| &row.run.case)));
        let seeds = rows.iter().map(|row| row.run.seed).collect();
        columns.push(("seed".to_owned(), Column::Count(seeds)));
        columns.push(("trace_hash".to_owned(), text(&|row| &row.trace_hash)));
        let events = rows.iter().map(|row| row.events).collect();
        columns.push(("events".to_owned(), Column::Count(events)));
        let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.measured.keys()).collect();
        for name in names {
            let values = rows.iter().map(|row| row.measured.get(name).copied().flatten());
            columns.push((name.clone(), Column::Number(values.collect())));
        }
        Self { columns, rows: rows.len() }
    }

    /// Writes the table in place of what stands at `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, path: &Path, form: Form) -> Result<(), Failure> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let saved = self.save_aside(&aside, form).and_then(|()| std::fs::rename(&aside, path));
        let saved = saved.and_then(|()| sync_folder(path));
        saved.map_err(|error| {
            // It may not even have come to be.
            std::fs::remove_file(&aside).ok();
            Failure::failed(path.display(), &error)
        })
    }

    fn save_aside(&self, path: &Path, form: Form) -> io::Result<()> {
        let file = File::create(path)?;
        let mut out = BufWriter::new(&file);
        match form {
            Form::Csv => self.csv(&mut out)?,
            Form::Parquet => self.parquet(&mut out).map_err(io::Error::other)?,
        }
        out.flush()?;
        drop(out);
        file.sync_all()
    }

    fn csv(&self, out: &mut impl Write) -> io::Result<()> {
        let line = |cells: Vec<String>| cells.join(",") + "\r\n";
        let names = self.columns.iter().map(|(name, _)| quoted(name));
        out.write_all(line(names.collect()).as_bytes())?;
        for row in 0..self.rows {
            let cells = self.columns.iter().map(|(_, column)| match column {
                Column::Text(values) => quoted(values[row]),
                Column::Count(values) => values[row].to_string(),
                Column::Number(values) => values[row].map_or(String::new(), |v| v.to_string()),
            });
            out.write_all(line(cells.collect()).as_bytes())?;
        }
        Ok(())
    }

    fn parquet(&self, out: impl Write + Send) -> Result<(), ParquetError> {
        let fields = self.columns.iter().map(|(name, column)| column.field(name).map(Arc::new));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(Type::group_type_builder("sweep").with_fields(fields).build()?);
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(out, schema, properties)?;
        let mut group = writer.next_row_group()?;
        for (_, column) in &self.columns {
            let mut sink = group.next_column()?.expect("there is one for each field");
            column.write(sink.untyped())?;
            sink.close()?;
        }
        group.close()?;
        writer.close().map(drop)
    }
}

impl Column<'_> {
    fn field(&self, name: &str) -> Result<Type, ParquetError> {
        let of = |physical| Type::primitive_type_builder(name, physical);
        match self {
            Self::Text(_) => of(Physical::BYTE_ARRAY)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::String)),
            Self::Count(_) => of(Physical::INT64).with_repetition(Repetition::REQUIRED),
            Self::Number(_) => of(Physical::DOUBLE).with_repetition(Repetition::OPTIONAL),
        }
        .build()
    }

    fn write(&self, sink: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        match (self, sink) {
            (Self::Text(values), ColumnWriter::ByteArrayColumnWriter(sink)) => {
                let values: Vec<ByteArray> = values.iter().map(|&v| ByteArray::from(v)).collect();
                sink.write_batch(&values, None, None)
            }
            (Self::Count(values), ColumnWriter::Int64ColumnWriter(sink)) => {
                let values = values.iter().map(|&v| i64::try_from(v).unwrap_or(i64::MAX));
                sink.write_batch(&values.collect::<Vec<_>>(), None, None)
            }
            (Self::Number(values), ColumnWriter::DoubleColumnWriter(sink)) => {
                let there: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
                let values: Vec<f64> = values.iter().flatten().copied().collect();
                sink.write_batch(&values, Some(&there), None)
            }
            _ => Err(ParquetError::General("a column has another type than its field".to_owned())),
        }
        .map(drop)
    }
}

/// A cell in quotes where it needs them.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Makes the new name of a file last.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::super::journal::RunId;
    use super::*;

    fn row(cc: &str, seed: u64, measured: &[(&str, Option<f64>)]) -> Row {
        let measured = measured.iter().map(|&(name, value)| (name.to_owned(), value));
        Row {
            run: RunId { values: vec![cc.to_owned()], case: "base".to_owned(), seed },
            variant: String::new(),
            trace_hash: "00ff".to_owned(),
            events: 7,
            measured: measured.collect::<BTreeMap<_, _>>(),
        }
    }

    fn rows() -> [Row; 2] {
        [row("lia", 1, &[("a", Some(0.5)), ("c", None)]), row("a \"b\", c", 2, &[("b", Some(2.0))])]
    }

    #[test]
    fn text_has_a_cell_for_every_row_and_column() {
        let rows = rows();
        let table = Table::new(&["flow.mp.cc".to_owned()], &rows.iter().collect::<Vec<_>>());
        let mut out = Vec::new();
        table.csv(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "set.flow.mp.cc,case,seed,trace_hash,events,a,b,c\r\n\
             lia,base,1,00ff,7,0.5,,\r\n\"a \"\"b\"\", c\",base,2,00ff,7,,2,\r\n"
        );
    }

    #[test]
    fn parquet_reads_back_as_it_was() {
        let rows = rows();
        let path = std::env::temp_dir().join(format!("manypath-{}.parquet", std::process::id()));
        let table = Table::new(&["flow.mp.cc".to_owned()], &rows.iter().collect::<Vec<_>>());
        table.save(&path, Form::of(&path).unwrap()).unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].get_string(0).unwrap(), "a \"b\", c");
        assert_eq!((read[0].get_long(2).unwrap(), read[1].get_long(2).unwrap()), (1, 2));
        assert_eq!(read[0].get_double(5).unwrap().to_bits(), 0.5f64.to_bits());
        assert!(read[0].get_double(6).is_err(), "that row has no such value");
        assert_eq!(read[1].get_double(6).unwrap().to_bits(), 2.0f64.to_bits());
    }

    #[test]
    fn the_ending_says_the_form() {
        assert_eq!(Form::of(Path::new("a/b.csv")), Ok(Form::Csv));
        assert_eq!(Form::of(Path::new("b.parquet")), Ok(Form::Parquet));
        assert!(Form::of(Path::new("b.json")).is_err());
    }
}
