//! The kernels in this project's sources, by their names as entry points.

use std::path::Path;

/// A kernel: `#[cube(launch)]` before a function.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    name: String,
    /// Names of its type parameters that are floats, in small letters. CubeCL puts them, with the
    /// type chosen, into the entry point's name: `norm_f_bf16_0123abcd`.
    floats: Vec<String>,
}

/// The types that the first float of every kernel must have been. Others may always be the same:
/// parameters are f32 beside activations of any type.
const TYPES: [&str; 3] = ["f32", "f16", "bf16"];

impl Kernel {
    /// What of it is not among these entry points.
    pub fn missing(&self, entries: &[String]) -> Vec<String> {
        let ours: Vec<String> = entries.iter().filter_map(|entry| self.suffix(entry)).collect();
        if ours.is_empty() {
            return vec![self.name.clone()];
        }
        let Some(float) = self.floats.first() else { return Vec::new() };
        let lacks = |ty: &&str| {
            let pair = format!("_{float}_{ty}_");
            !ours.iter().any(|types| types.contains(&pair))
        };
        TYPES.iter().copied().filter(lacks).map(|ty| format!("{} in {ty}", self.name)).collect()
    }

    /// The part of one of its entry points between name and number: `_f_bf16_` or `_`.
    fn suffix(&self, entry: &str) -> Option<String> {
        let rest = entry.strip_prefix(&self.name)?.strip_prefix('_')?;
        let (types, number) = rest.rsplit_once('_').unwrap_or(("", rest));
        let fits = number.len() == 8 && number.bytes().all(|b| b.is_ascii_hexdigit());
        let types = if types.is_empty() { "_".to_owned() } else { format!("_{types}_") };
        // Names of Burn's kernels may begin with this one's.
        let own = self.floats.iter().all(|of| types.contains(&format!("_{of}_")));
        (fits && own && !types.contains("_kernel_")).then_some(types)
    }
}

/// Those of `src/backend`.
pub fn kernels() -> Vec<Kernel> {
    let mut found = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend"), &mut found);
    assert!(found.len() >= 2, "the sources hold kernels");
    found
}

fn read(folder: &Path, found: &mut Vec<Kernel>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(of(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The kernels of one file.
fn of(text: &str) -> Vec<Kernel> {
    text.split("#[cube(launch").skip(1).filter_map(kernel).collect()
}

/// The function behind the attribute.
fn kernel(text: &str) -> Option<Kernel> {
    let (_, function) = text.split_once("fn ")?;
    let name: String = function.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let types = match function[name.len()..].strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.0,
        None => "",
    };
    let float = |parameter: &str| {
        let (name, bounds) = parameter.split_once(':')?;
        let float = bounds.split('+').any(|bound| bound.trim().ends_with("Float"));
        float.then(|| name.trim().to_lowercase())
    };
    let floats = types.split(',').filter_map(float).collect();
    Some(Kernel { name, floats })
}

#[test]
fn kernels_are_found_in_sources_and_among_entry_points() {
    let text = "
        #[cube]
        fn helper(x: f32) {}
        #[cube(launch)]
        #[allow(clippy::too_many_arguments, reason = \"buffers\")]
        pub(super) fn norm<F: Float, N: Size>(x: &[F]) {}
        #[cube(launch_unchecked)]
        fn step_kernel<U: UpdateOne>(x: &[f32]) {}
        #[cube(launch)]
        fn copy<F: Numeric>(x: &[F]) {}";
    let kernels = of(text);
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    assert_eq!(names, ["norm", "step_kernel", "copy"]);
    assert_eq!(kernels[0].floats, ["f"]);
    let entries = |list: &[&str]| list.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>();
    let all = entries(&[
        "norm_f_f32_n_4_0123abcd",
        "norm_f_f16_n_1_0123abcd",
        "norm_f_bf16_n_1_0123abcd",
        "step_kernel_0123abcd",
        "copy_f_u32_0123abcd",
    ]);
    assert!(kernels.iter().all(|kernel| kernel.missing(&all).is_empty()));
    let some = entries(&["norm_f_f32_n_4_0123abcd", "copy_kernel_t_f32_n_1_0123abcd"]);
    let missing: Vec<String> = kernels.iter().flat_map(|kernel| kernel.missing(&some)).collect();
    assert_eq!(missing, ["norm in f16", "norm in bf16", "step_kernel", "copy"]);
}
