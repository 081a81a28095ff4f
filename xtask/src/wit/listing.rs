//! What packages of WIT are made of, as text: a line for each type, function,
//! import and export, with everything that the component model compares and
//! nothing else. Fields, cases and parameters keep their order, which counts;
//! what has none is sorted.
//!
//! ```text
//! package evenkeel:log@0.1.0
//!   interface log
//!     enum level { error, warn, info, debug }
//!     func write(level: level, message: string)
//! ```

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use wit_parser::{
    Function, FunctionKind, Handle, InterfaceId, PackageName, Resolve, Type, TypeDefKind, TypeId,
    TypeOwner, WorldId, WorldItem, WorldKey,
};

/// Lines by the place that each has: the heads of those above it, and its own.
/// A head is a line's kind and name, `func write`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<Vec<String>, String>);

impl Listing {
    /// The packages of `resolve` with these names.
    pub fn of(resolve: &Resolve, names: &BTreeSet<PackageName>) -> Self {
        let mut listing = Self::default();
        let wanted = |name: &PackageName| names.contains(name);
        for (_, package) in resolve.packages.iter().filter(|(_, p)| wanted(&p.name)) {
            let mut write = Writer { resolve, listing: &mut listing, place: Vec::new() };
            write.down(format!("package {}", package.name), |write| {
                package.interfaces.values().for_each(|id| write.interface(*id));
                package.worlds.values().for_each(|id| write.world(*id));
            });
        }
        listing
    }

    /// Read what [`Display`](fmt::Display) wrote. Any text is a listing of
    /// something; comments are left out.
    pub fn parse(text: &str) -> Self {
        let mut listing = Self::default();
        let mut place: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words = line.trim_start();
            place.truncate((line.len() - words.len()) / INDENT.len());
            place.push(head(words));
            listing.0.insert(place.clone(), words.to_owned());
        }
        listing
    }

    /// Every line, with its place.
    pub fn lines(&self) -> impl Iterator<Item = (&[String], &str)> {
        self.0.iter().map(|(place, line)| (place.as_slice(), line.as_str()))
    }

    /// The line at a place.
    pub fn get(&self, place: &[String]) -> Option<&str> {
        self.0.get(place).map(String::as_str)
    }

    /// What is different from `older`, a sentence each.
    pub fn changes_since(&self, older: &Self) -> Vec<String> {
        let places: BTreeSet<_> = self.0.keys().chain(older.0.keys()).collect();
        let change = |place: &Vec<String>| {
            let said = match (older.get(place), self.get(place)) {
                (Some(was), None) => format!("`{was}` is gone"),
                (None, Some(is)) => format!("`{is}` is new"),
                (Some(was), Some(is)) if was != is => format!("`{was}` became `{is}`"),
                _ => return None,
            };
            Some(sentence(place, &said))
        };
        places.into_iter().filter_map(change).collect()
    }
}

/// `said` about the line at `place`, with where that is.
pub fn sentence(place: &[String], said: &str) -> String {
    let above = place.split_last().map_or(&[][..], |(_, above)| above);
    let Some((package, rest)) = above.split_first() else { return said.to_owned() };
    let package = package.trim_start_matches("package ");
    let rest: String = rest.iter().map(|head| format!(", {head}")).collect();
    format!("{package}{rest}: {said}")
}

const INDENT: &str = "  ";

/// Kind and name of what a line is about: its first two words, up to what
/// belongs to its type.
fn head(line: &str) -> String {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    let name = rest.split([' ', '(']).next().unwrap_or(rest);
    format!("{kind} {name}")
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|(place, line)| {
            writeln!(f, "{}{line}", INDENT.repeat(place.len().saturating_sub(1)))
        })
    }
}

/// Puts lines into a listing, below those that were opened.
struct Writer<'a> {
    resolve: &'a Resolve,
    listing: &'a mut Listing,
    place: Vec<String>,
}

impl Writer<'_> {
    fn line(&mut self, text: String) {
        self.down(text, |_| ());
    }

    /// A line, and what stands below it.
    fn down(&mut self, text: String, below: impl FnOnce(&mut Self)) {
        self.place.push(head(&text));
        self.listing.0.insert(self.place.clone(), text);
        below(self);
        self.place.pop();
    }

    fn interface(&mut self, id: InterfaceId) {
        let interface = &self.resolve.interfaces[id];
        let name = interface.name.as_deref().unwrap_or_default();
        self.down(format!("interface {name}"), |write| write.content(id));
    }

    fn content(&mut self, id: InterfaceId) {
        let interface = &self.resolve.interfaces[id];
        for (name, id) in &interface.types {
            self.line(self.definition(name, *id));
        }
        for function in interface.functions.values() {
            self.line(self.function(function));
        }
    }

    fn world(&mut self, id: WorldId) {
        let world = &self.resolve.worlds[id];
        self.down(format!("world {}", world.name), |write| {
            for (word, items) in [("import", &world.imports), ("export", &world.exports)] {
                for (key, item) in items {
                    write.item(word, key, item);
                }
            }
        });
    }

    fn item(&mut self, word: &str, key: &WorldKey, item: &WorldItem) {
        let name = self.resolve.name_world_key(key);
        match item {
            // An interface that is written down in the world itself.
            WorldItem::Interface { id, .. } if matches!(key, WorldKey::Name(_)) => {
                self.down(format!("{word} {name}"), |write| write.content(*id));
            }
            WorldItem::Interface { .. } => self.line(format!("{word} {name}")),
            WorldItem::Function(function) => {
                let function = self.function(function);
                self.line(format!("{word} {name} {function}"));
            }
            WorldItem::Type { id, .. } => {
                let definition = self.definition(&name, *id);
                self.line(format!("{word} {name} {definition}"));
            }
        }
    }

    /// `func write(level: level, message: string)`
    fn function(&self, function: &Function) -> String {
        let is_async = if function.kind.is_async() { "async-" } else { "" };
        let (kind, hidden) = match function.kind {
            FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => ("func", 0),
            // The resource itself is the first parameter.
            FunctionKind::Method(_) | FunctionKind::AsyncMethod(_) => ("method", 1),
            FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => ("static", 0),
            FunctionKind::Constructor(_) => ("constructor", 0),
        };
        // `[method]port.send` is `port.send` here.
        let name = function.name.rsplit(']').next().unwrap_or(&function.name);
        let parameter = |p: &wit_parser::Param| format!("{}: {}", p.name, self.ty(&p.ty));
        let parameters: Vec<_> = function.params.iter().skip(hidden).map(parameter).collect();
        let result = function.result.map_or(String::new(), |ty| format!(" -> {}", self.ty(&ty)));
        format!("{is_async}{kind} {name}({}){result}", parameters.join(", "))
    }

    /// `enum level { error, warn }`
    fn definition(&self, name: &str, id: TypeId) -> String {
        let field = |name: &str, ty: &Type| format!("{name}: {}", self.ty(ty));
        let (kind, parts): (_, Vec<String>) = match &self.resolve.types[id].kind {
            TypeDefKind::Record(record) => {
                ("record", record.fields.iter().map(|f| field(&f.name, &f.ty)).collect())
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| match &case.ty {
                    Some(ty) => format!("{}({})", case.name, self.ty(ty)),
                    None => case.name.clone(),
                };
                ("variant", variant.cases.iter().map(case).collect())
            }
            TypeDefKind::Enum(cases) => {
                ("enum", cases.cases.iter().map(|case| case.name.clone()).collect())
            }
            TypeDefKind::Flags(flags) => {
                ("flags", flags.flags.iter().map(|flag| flag.name.clone()).collect())
            }
            TypeDefKind::Resource => return format!("resource {name}"),
            TypeDefKind::Type(ty) => return format!("type {name} = {}", self.foreign(ty)),
            other => return format!("type {name} = {}", self.composed(other)),
        };
        format!("{kind} {name} {{ {} }}", parts.join(", "))
    }

    fn ty(&self, ty: &Type) -> String {
        let word = match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => "error-context",
            Type::Id(id) => return self.named(*id),
        };
        word.to_owned()
    }

    /// A type by its name, or what an anonymous one is made of.
    fn named(&self, id: TypeId) -> String {
        let ty = &self.resolve.types[id];
        ty.name.clone().unwrap_or_else(|| self.composed(&ty.kind))
    }

    /// A type with the interface that it is from: `evenkeel:events/types@0.1.0.event`.
    fn foreign(&self, ty: &Type) -> String {
        let Type::Id(id) = ty else { return self.ty(ty) };
        let owner = match self.resolve.types[*id].owner {
            TypeOwner::Interface(id) => self.resolve.id_of(id),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        owner.map_or_else(|| self.named(*id), |owner| format!("{owner}.{}", self.named(*id)))
    }

    fn composed(&self, kind: &TypeDefKind) -> String {
        let or_nothing = |ty: &Option<Type>| ty.map_or("_".to_owned(), |ty| self.ty(&ty));
        match kind {
            TypeDefKind::Handle(Handle::Own(id)) => self.named(*id),
            TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", self.named(*id)),
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<_> = tuple.types.iter().map(|ty| self.ty(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            TypeDefKind::Option(ty) => format!("option<{}>", self.ty(ty)),
            TypeDefKind::List(ty) => format!("list<{}>", self.ty(ty)),
            TypeDefKind::FixedLengthList(ty, len) => format!("list<{}, {len}>", self.ty(ty)),
            TypeDefKind::Map(key, value) => format!("map<{}, {}>", self.ty(key), self.ty(value)),
            TypeDefKind::Result(r) => {
                format!("result<{}, {}>", or_nothing(&r.ok), or_nothing(&r.err))
            }
            TypeDefKind::Future(ty) => format!("future<{}>", or_nothing(ty)),
            TypeDefKind::Stream(ty) => format!("stream<{}>", or_nothing(ty)),
            TypeDefKind::Type(ty) => self.foreign(ty),
            TypeDefKind::Record(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_)
            | TypeDefKind::Resource
            | TypeDefKind::Unknown => {
                unreachable!("these have a name, and a resolved package no unknown type")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        package a:b@1.2.3;
        interface types { record pair { left: u8, right: option<string> } }
        interface all {
            use types.{pair};
            type names = list<string>;
            flags bits { one, two }
            variant choice { none, both(pair), some(tuple<s64, f32, char>) }
            resource port {
                constructor(name: string);
                find: static func() -> result<port, bits>;
                send: func(data: names, to: borrow<port>) -> result<_, u32>;
                end: func() -> result;
            }
            b: func();
            a: func(c: choice) -> bool;
        }
        world everything {
            import types;
            import log: interface { write: func(line: string); }
            import now: func() -> u64;
            export all;
        }";
    const LISTED: &str = "\
package a:b@1.2.3
  interface all
    constructor port(name: string) -> port
    flags bits { one, two }
    func a(c: choice) -> bool
    func b()
    method port.end() -> result<_, _>
    method port.send(data: names, to: borrow<port>) -> result<_, u32>
    resource port
    static port.find() -> result<port, bits>
    type names = list<string>
    type pair = a:b/types@1.2.3.pair
    variant choice { none, both(pair), some(tuple<s64, f32, char>) }
  interface types
    record pair { left: u8, right: option<string> }
  world everything
    export a:b/all@1.2.3
    import a:b/types@1.2.3
    import log
      func write(line: string)
    import now func now() -> u64
";

    fn listing(source: &str) -> Listing {
        let mut resolve = Resolve::default();
        let id = resolve.push_source("test.wit", source).unwrap();
        let names = BTreeSet::from([resolve.packages[id].name.clone()]);
        Listing::of(&resolve, &names)
    }

    #[test]
    fn everything_that_is_compared_is_listed() {
        assert_eq!(listing(SOURCE).to_string(), LISTED);
    }

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let written = listing(SOURCE);
        assert_eq!(Listing::parse(&format!("# By hand.\n{written}")), written);
        for strange in ["", "\n\n", "x", "    deep", "package a\n      b\n  c", "é ( ü"] {
            Listing::parse(strange).changes_since(&written);
        }
    }

    #[test]
    fn changes_say_where_and_what() {
        let older = listing(SOURCE);
        let newer = listing(&SOURCE.replace("both(pair), ", "").replace("b: func();", ""));
        let changes = newer.changes_since(&older);
        let place = "a:b@1.2.3, interface all";
        let (was, is) = ("{ none, both(pair), some(…) }", "{ none, some(…) }");
        let long = |text: &str| text.replace('…', "tuple<s64, f32, char>");
        let change = format!("{place}: `variant choice {was}` became `variant choice {is}`");
        assert_eq!(changes, [format!("{place}: `func b()` is gone"), long(&change)]);
        assert!(older.changes_since(&older).is_empty());
    }
}
