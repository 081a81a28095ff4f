//! From core module to component, and what a component may look like
//! (facts/wasm-host.md §3, the gate for each plugin).

use wasmparser::{Parser, Payload, Validator};
use wit_component::ComponentEncoder;

/// What the bytes of a component say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Imported interfaces, sorted.
    pub imports: Vec<String>,
    /// Exported interfaces, sorted.
    pub exports: Vec<String>,
    /// Most linear memory that it can ask for, in bytes.
    pub memory_max: u64,
}

/// Turn a core module with embedded WIT into a component.
///
/// # Errors
/// [`ComponentError::Encode`] when the module does not fit its world.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| ComponentError::Encode { message: format!("{error:#}") })
}

/// Check a component against the gate and read what it imports.
///
/// # Errors
/// [`ComponentError`] names the first rule that it breaks.
pub fn inspect(bytes: &[u8]) -> Result<Component, ComponentError> {
    Validator::new().validate_all(bytes).map_err(|source| ComponentError::Invalid { source })?;
    let mut found = Found::default();
    for payload in Parser::new(0).parse_all(bytes) {
        found.take(payload.map_err(invalid)?)?;
    }
    found.finish()
}

/// Why a component is refused.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The module and its world do not fit.
    #[error(
        "the module cannot become a component; does the plugin call `register_driver!`? {message}"
    )]
    Encode {
        /// What the encoder says, causes included.
        message: String,
    },
    /// Not valid WebAssembly.
    #[error("this is not a valid component")]
    Invalid {
        /// Where and why.
        source: wasmparser::BinaryReaderError,
    },
    /// Something that the appliance does not offer.
    #[error(
        "the plugin imports {name:?}; only evenkeel:* interfaces exist on the appliance, \
        so remove the dependency that needs it"
    )]
    ForeignImport {
        /// Its name.
        name: String,
    },
    /// More or less than one memory.
    #[error("the component defines {found} linear memories, exactly one is allowed")]
    Memories {
        /// How many.
        found: usize,
    },
    /// A memory that could grow without end.
    #[error("the linear memory has no maximum; build with `evenkeel-plugin build`, which sets it")]
    NoMaximum,
    /// Shared or 64-bit memory.
    #[error("the linear memory is shared or 64-bit, which the appliance does not run")]
    MemoryKind,
    /// Code that would run before `start`.
    #[error("a core module has a start function; work belongs into the driver's `start`")]
    StartFunction,
}

#[derive(Default)]
struct Found {
    /// Depth of nested modules and components; 0 is the component itself.
    depth: u32,
    imports: Vec<String>,
    exports: Vec<String>,
    memories: Vec<wasmparser::MemoryType>,
}

impl Found {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), ComponentError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if self.depth == 0 => {
                for import in section {
                    self.imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 0 => {
                for export in section {
                    self.exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories.push(memory.map_err(invalid)?);
                }
            }
            Payload::StartSection { .. } => return Err(ComponentError::StartFunction),
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Component, ComponentError> {
        const PAGE: u64 = 64 << 10;
        if let Some(name) = self.imports.iter().find(|name| !name.starts_with("evenkeel:")) {
            return Err(ComponentError::ForeignImport { name: name.clone() });
        }
        let [memory] = self.memories[..] else {
            return Err(ComponentError::Memories { found: self.memories.len() });
        };
        if memory.shared || memory.memory64 {
            return Err(ComponentError::MemoryKind);
        }
        let pages = memory.maximum.ok_or(ComponentError::NoMaximum)?;
        self.imports.sort();
        self.exports.sort();
        Ok(Component {
            imports: self.imports,
            exports: self.exports,
            memory_max: pages.saturating_mul(PAGE),
        })
    }
}

fn invalid(source: wasmparser::BinaryReaderError) -> ComponentError {
    ComponentError::Invalid { source }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ComponentImportSection, ComponentTypeRef, Function, FunctionSection,
        InstanceType, MemorySection, MemoryType, Module, ModuleSection, StartSection, TypeSection,
    };

    use super::*;

    fn memory(maximum: Option<u64>) -> MemoryType {
        MemoryType { minimum: 1, maximum, memory64: false, shared: false, page_size_log2: None }
    }

    fn module(memories: &[MemoryType]) -> Module {
        let mut section = MemorySection::new();
        for memory in memories {
            section.memory(*memory);
        }
        let mut module = Module::new();
        module.section(&section);
        module
    }

    fn component(import: &str, modules: &[Module]) -> Vec<u8> {
        let mut component = wasm_encoder::Component::new();
        let mut types = wasm_encoder::ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        component.section(&types);
        let mut imports = ComponentImportSection::new();
        imports.import(import, ComponentTypeRef::Instance(0));
        component.section(&imports);
        for module in modules {
            component.section(&ModuleSection(module));
        }
        component.finish()
    }

    const LOG: &str = "evenkeel:log/log@0.1.0";

    #[test]
    fn an_orderly_component_is_read() {
        let found = inspect(&component(LOG, &[module(&[memory(Some(16))])])).unwrap();
        assert_eq!(found.imports, [LOG]);
        assert_eq!(found.memory_max, 1 << 20);
    }

    #[test]
    fn foreign_imports_are_refused() {
        let error = inspect(&component("wasi:cli/stdout@0.2.0", &[module(&[memory(Some(1))])]));
        assert!(
            matches!(error, Err(ComponentError::ForeignImport { name }) if name.starts_with("wasi"))
        );
    }

    #[test]
    fn memory_must_be_one_and_bounded() {
        let refusal = |modules: &[Module]| inspect(&component(LOG, modules)).unwrap_err();
        assert!(matches!(refusal(&[]), ComponentError::Memories { found: 0 }));
        let one = || module(&[memory(Some(1))]);
        assert!(matches!(refusal(&[one(), one()]), ComponentError::Memories { found: 2 }));
        assert!(matches!(refusal(&[module(&[memory(None)])]), ComponentError::NoMaximum));
        let shared = MemoryType { shared: true, ..memory(Some(1)) };
        let found = refusal(&[module(&[shared])]);
        assert!(matches!(found, ComponentError::MemoryKind | ComponentError::Invalid { .. }));
    }

    #[test]
    fn start_functions_and_rubbish_are_refused() {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut code = CodeSection::new();
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        module.section(&types).section(&functions);
        module.section(&StartSection { function_index: 0 }).section(&code);
        let error = inspect(&component(LOG, &[module])).unwrap_err();
        assert!(matches!(error, ComponentError::StartFunction), "{error}");
        assert!(matches!(inspect(b"\0asm"), Err(ComponentError::Invalid { .. })));
        assert!(matches!(encode(b"rubbish"), Err(ComponentError::Encode { .. })));
    }
}
