//! Products of matrices by cuBLASLt, each planned once.

use super::cudnn::Convolution;
use super::gpu::{Event, Gpu, lock};
use super::memory::Memory;
use super::relu::mask_row;
use crate::error::Result;
use core::ffi::c_void;
use core::ptr;
use cudarc::cublaslt::sys::{
    self, cublasComputeType_t, cublasLtEpilogue_t, cublasLtHandle_t, cublasLtMatmulAlgo_t, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t, cublasLtMatmulHeuristicResult_t, cublasLtMatmulPreferenceAttributes_t,
    cublasLtMatrixLayout_t, cublasStatus_t, cudaDataType_t,
};
use cudarc::driver::sys::{CUdeviceptr, CUstream};
use std::collections::HashMap;

/// Memory that cuBLASLt may work with.
const WORKSPACE: usize = 32 << 20;
/// How many of the algorithms that cuBLASLt proposes are tried.
const TRIED: usize = 8;
/// Runs of each, after one that is not counted.
pub(super) const RUNS: usize = 3;

/// The elements of the operands, and how they are multiplied. Sums, and the result, are `F32`, or `F64` for `F64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    F32,
    /// Operands of f32 are rounded to ten bits of mantissa.
    Tf32,
    /// Operands are bf16.
    Bf16,
    F64,
}

impl Kind {
    fn operand(self) -> cudaDataType_t {
        match self {
            Kind::F32 | Kind::Tf32 => cudaDataType_t::CUDA_R_32F,
            Kind::Bf16 => cudaDataType_t::CUDA_R_16BF,
            Kind::F64 => cudaDataType_t::CUDA_R_64F,
        }
    }

    fn result(self) -> cudaDataType_t {
        if self == Kind::F64 { cudaDataType_t::CUDA_R_64F } else { cudaDataType_t::CUDA_R_32F }
    }

    fn compute(self) -> cublasComputeType_t {
        match self {
            Kind::F32 | Kind::Bf16 => cublasComputeType_t::CUBLAS_COMPUTE_32F,
            Kind::Tf32 => cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            Kind::F64 => cublasComputeType_t::CUBLAS_COMPUTE_64F,
        }
    }
}

/// What is done to the result on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Epilogue {
    #[default]
    Nothing,
    /// Plus a bias for each column.
    Bias,
    /// Plus a bias for each column, then max(0, x).
    BiasRelu,
    /// As [`BiasRelu`](Epilogue::BiasRelu); the mask gets a bit for each element that is greater than zero.
    BiasReluMask,
    /// Zero where the mask has no bit; the bias gets the sum of each column.
    MaskedSums,
    /// The bias gets the sums of the first operand over the `k` terms, for each row of the result.
    OperandSums,
}

impl Epilogue {
    fn has_mask(self) -> bool {
        matches!(self, Epilogue::BiasReluMask | Epilogue::MaskedSums)
    }
}

/// C = op(A) · op(B), all row-major: C is [m, n], the sums have `k` terms; an operand that is `turned` lies as its transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Product {
    pub(super) kind: Kind,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) turned: (bool, bool),
    pub(super) epilogue: Epilogue,
}

/// A product that cuBLASLt is ready to compute.
struct Planned {
    description: cublasLtMatmulDesc_t,
    a: cublasLtMatrixLayout_t,
    b: cublasLtMatrixLayout_t,
    c: cublasLtMatrixLayout_t,
    algorithm: cublasLtMatmulAlgo_t,
    workspace: usize,
}

/// The products of a GPU.
pub(super) struct Products {
    handle: cublasLtHandle_t,
    planned: HashMap<(Product, Alignments), Planned>,
    faster: HashMap<Choice, bool>,
    workspace: Option<Memory>,
}

impl Products {
    /// The context is current.
    pub(super) fn new() -> Result<Self, String> {
        let mut handle = ptr::null_mut();
        // SAFETY: the library is there; it writes a handle, which is kept as long as the program runs.
        match unsafe { sys::cublasLtCreate(&mut handle) } {
            cublasStatus_t::CUBLAS_STATUS_SUCCESS => {
                Ok(Products { handle, planned: HashMap::new(), faster: HashMap::new(), workspace: None })
            }
            status => Err(format!("starting cuBLASLt failed: {status:?}")),
        }
    }
}

/// What is computed in the way of two that is the faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    /// A product with its epilogue, or with kernels after it or before.
    Product(Product),
    /// A layer forward and the gradient of its output: by a mask, or by the output.
    Masked(Product, Product),
    /// A convolution: by cuDNN, or by a kernel.
    Convolution(Convolution),
}

/// The powers of two that the addresses of a, b and c are multiples of, in bytes: a parameter begins anywhere in its block,
/// and fast algorithms want to be told.
type Alignments = [u32; 3];

/// Where a product's matrices are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub(super) a: CUdeviceptr,
    pub(super) b: CUdeviceptr,
    pub(super) c: CUdeviceptr,
    /// 0 where the epilogue has none.
    pub(super) bias: CUdeviceptr,
    /// [`mask_row`] bits for each row of the result; 0 where the epilogue has none.
    pub(super) mask: CUdeviceptr,
}

impl Places {
    fn alignments(&self) -> Alignments {
        [self.a, self.b, self.c].map(|place| 1 << place.trailing_zeros().min(8))
    }
}

impl Gpu {
    /// Computes a product. The first of its kind chooses the fastest algorithm by trying, unless the stream records.
    ///
    /// # Safety
    /// The places are memory of this GPU, of the product's sizes; the result overlaps no operand.
    pub(super) unsafe fn multiply(&self, product: &Product, places: Places, stream: CUstream) -> Result<()> {
        let Product { m, n, k, .. } = *product;
        if m == 0 || n == 0 {
            return Ok(());
        }
        assert!(k > 0, "a sum without terms");
        self.enter()?;
        let products = &mut *lock(&self.0.products);
        if products.workspace.is_none() {
            products.workspace = Some(Memory::new(self, WORKSPACE)?);
        }
        let workspace = products.workspace.as_ref().expect("just taken").pointer();
        let key = (*product, places.alignments());
        if !products.planned.contains_key(&key) {
            // SAFETY: as the caller's; the result may be overwritten, as it will be.
            let planned = unsafe { self.plan(products.handle, product, places, workspace)? };
            products.planned.insert(key, planned);
        }
        // SAFETY: as the caller's.
        unsafe { self.run(products.handle, product, &products.planned[&key], places, workspace, stream) }
    }

    unsafe fn run(
        &self,
        handle: cublasLtHandle_t,
        product: &Product,
        planned: &Planned,
        places: Places,
        workspace: CUdeviceptr,
        stream: CUstream,
    ) -> Result<()> {
        let doing = || doing(product);
        self.point(planned.description, product.epilogue, places, doing)?;
        let (single, double) = ([1.0f32, 0.0], [1.0f64, 0.0]);
        let [alpha, beta]: [*const c_void; 2] = match product.kind {
            Kind::F64 => [0, 1].map(|i| (&raw const double[i]).cast()),
            _ => [0, 1].map(|i| (&raw const single[i]).cast()),
        };
        let (a, b, c) = (places.a as *const c_void, places.b as *const c_void, places.c as *mut c_void);
        // SAFETY: the layouts are those of the product, of which the caller gives the memory. cuBLASLt counts by columns, in
        // which a row-major matrix is its own transpose: Cᵀ = op(B)ᵀ · op(A)ᵀ, so B comes first.
        let status = unsafe {
            sys::cublasLtMatmul(
                handle,
                planned.description,
                alpha,
                b,
                planned.b,
                a,
                planned.a,
                beta,
                c,
                planned.c,
                c,
                planned.c,
                &planned.algorithm,
                workspace as *mut c_void,
                planned.workspace,
                stream.cast(),
            )
        };
        self.good(status, doing)
    }

    /// Says where the epilogue's vector and mask are.
    fn point(
        &self,
        description: cublasLtMatmulDesc_t,
        epilogue: Epilogue,
        places: Places,
        doing: impl Fn() -> String,
    ) -> Result<()> {
        use cublasLtMatmulDescAttributes_t as Attribute;
        if epilogue != Epilogue::Nothing {
            self.good(set(description, Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &places.bias), &doing)?;
        }
        if epilogue.has_mask() {
            self.good(set(description, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &places.mask), &doing)?;
        }
        Ok(())
    }

    fn good(&self, status: cublasStatus_t, doing: impl FnOnce() -> String) -> Result<()> {
        match status {
            cublasStatus_t::CUBLAS_STATUS_SUCCESS => Ok(()),
            status => Err(self.failure(doing(), format!("{status:?}"))),
        }
    }

    unsafe fn plan(
        &self,
        handle: cublasLtHandle_t,
        product: &Product,
        places: Places,
        workspace: CUdeviceptr,
    ) -> Result<Planned> {
        let doing = || format!("planning {}", doing(product));
        let Product { kind, m, n, k, turned, epilogue } = *product;
        let scale = kind.result();
        let mut description = ptr::null_mut();
        // SAFETY: cuBLASLt writes a handle.
        self.good(unsafe { sys::cublasLtMatmulDescCreate(&mut description, kind.compute(), scale) }, doing)?;
        // `CUBLAS_OP_T` and `CUBLAS_OP_N`.
        let operation = i32::from;
        let kind_of_epilogue = match epilogue {
            Epilogue::Nothing => cublasLtEpilogue_t::CUBLASLT_EPILOGUE_DEFAULT,
            Epilogue::Bias => cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS,
            Epilogue::BiasRelu => cublasLtEpilogue_t::CUBLASLT_EPILOGUE_RELU_BIAS,
            Epilogue::BiasReluMask => cublasLtEpilogue_t::CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
            Epilogue::MaskedSums => cublasLtEpilogue_t::CUBLASLT_EPILOGUE_DRELU_BGRAD,
            // cuBLASLt's B is our first operand.
            Epilogue::OperandSums => cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BGRADB,
        };
        {
            use cublasLtMatmulDescAttributes_t as Attribute;
            self.good(set(description, Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &operation(turned.1)), doing)?;
            self.good(set(description, Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &operation(turned.0)), doing)?;
            self.good(set(description, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &kind_of_epilogue), doing)?;
            if epilogue.has_mask() {
                let row = mask_row(n) as i64;
                self.good(set(description, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &row), doing)?;
            }
            self.point(description, epilogue, places, doing)?;
        }
        // A row-major matrix of these rows and columns, or its transpose.
        let layout = |of, rows: usize, columns: usize, turned: bool| {
            let (rows, columns) = if turned { (columns, rows) } else { (rows, columns) };
            let mut layout = ptr::null_mut();
            // SAFETY: as above.
            let status = unsafe {
                sys::cublasLtMatrixLayoutCreate(&mut layout, of, columns as u64, rows as u64, columns.max(1) as i64)
            };
            self.good(status, doing)?;
            Ok::<_, crate::Error>(layout)
        };
        let (a, b) = (layout(kind.operand(), m, k, turned.0)?, layout(kind.operand(), k, n, turned.1)?);
        let c = layout(kind.result(), m, n, false)?;
        let mut preference = ptr::null_mut();
        let mut proposed: Vec<cublasLtMatmulHeuristicResult_t> = Vec::with_capacity(TRIED);
        let mut count = 0;
        // SAFETY: handles of this call; room for `TRIED` results, of which cuBLASLt says how many it wrote.
        unsafe {
            self.good(sys::cublasLtMatmulPreferenceCreate(&mut preference), doing)?;
            use cublasLtMatmulPreferenceAttributes_t as Attribute;
            let prefer = |attribute, value: &[u8]| {
                sys::cublasLtMatmulPreferenceSetAttribute(preference, attribute, value.as_ptr().cast(), value.len())
            };
            let [of_a, of_b, of_c] = places.alignments().map(u32::to_ne_bytes);
            let set = [
                prefer(Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE.to_ne_bytes()),
                prefer(Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &of_b),
                prefer(Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &of_a),
                prefer(Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &of_c),
                prefer(Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &of_c),
            ];
            set.into_iter().try_for_each(|status| self.good(status, doing))?;
            let status = sys::cublasLtMatmulAlgoGetHeuristic(
                handle,
                description,
                b,
                a,
                c,
                c,
                preference,
                TRIED as i32,
                proposed.as_mut_ptr(),
                &mut count,
            );
            sys::cublasLtMatmulPreferenceDestroy(preference);
            self.good(status, doing)?;
            proposed.set_len(usize::try_from(count).unwrap_or(0).min(TRIED));
        }
        proposed.retain(|result| result.state == cublasStatus_t::CUBLAS_STATUS_SUCCESS);
        let candidates = proposed.into_iter().map(|result| Planned {
            description,
            a,
            b,
            c,
            algorithm: result.algo,
            workspace: result.workspaceSize,
        });
        // SAFETY: as the caller's.
        let time = |planned: &Planned| unsafe { self.time(handle, product, planned, places, workspace) };
        let mut best: Option<(f32, Planned)> = None;
        for candidate in candidates {
            let Ok(time) = time(&candidate) else { continue };
            if best.as_ref().is_none_or(|(shortest, _)| time < *shortest) {
                best = Some((time, candidate));
            }
        }
        match best {
            Some((_, planned)) => Ok(planned),
            None => Err(self.failure(doing(), "cuBLASLt has no algorithm for it")),
        }
    }

    /// The shortest of a few runs, in milliseconds.
    unsafe fn time(
        &self,
        handle: cublasLtHandle_t,
        product: &Product,
        planned: &Planned,
        places: Places,
        workspace: CUdeviceptr,
    ) -> Result<f32> {
        let stream = self.0.stream;
        let (start, end) = (Event::new(self, true)?, Event::new(self, true)?);
        let mut shortest = f32::INFINITY;
        for run in 0..=RUNS {
            start.record(stream)?;
            // SAFETY: as the caller's.
            unsafe { self.run(handle, product, planned, places, workspace, stream)? };
            end.record(stream)?;
            end.synchronize()?;
            if run > 0 {
                shortest = shortest.min(end.since(&start)?);
            }
        }
        Ok(shortest)
    }
}

impl Gpu {
    /// Whether `first` is faster than `second`, two ways to compute the same. They are tried when they are asked about for the
    /// first time, and remembered; a first way that fails then is the slower one.
    pub(super) fn faster(
        &self,
        choice: Choice,
        first: &dyn Fn(CUstream) -> Result<()>,
        second: &dyn Fn(CUstream) -> Result<()>,
    ) -> Result<bool> {
        if let Some(faster) = lock(&self.0.products).faster.get(&choice) {
            return Ok(*faster);
        }
        let faster = self.measured_faster(first, second)?;
        lock(&self.0.products).faster.insert(choice, faster);
        Ok(faster)
    }

    /// Whether `first` takes no longer than `second` now.
    pub(super) fn measured_faster(
        &self,
        first: &dyn Fn(CUstream) -> Result<()>,
        second: &dyn Fn(CUstream) -> Result<()>,
    ) -> Result<bool> {
        let (stream, start, end) = (self.0.stream, Event::new(self, true)?, Event::new(self, true)?);
        let time = |way: &dyn Fn(CUstream) -> Result<()>| {
            start.record(stream)?;
            way(stream)?;
            end.record(stream)?;
            end.synchronize()?;
            end.since(&start)
        };
        let mut shortest = [f32::INFINITY; 2];
        for _ in 0..=RUNS {
            // What is wrong with the GPU shows in the second way, too.
            shortest[0] = shortest[0].min(time(first).unwrap_or(f32::INFINITY));
            shortest[1] = shortest[1].min(time(second)?);
        }
        Ok(shortest[0] <= shortest[1])
    }
}

fn doing(product: &Product) -> String {
    let Product { m, n, k, kind, .. } = product;
    format!("the product [{m}, {k}] · [{k}, {n}] in {kind:?}")
}

fn set<T>(description: cublasLtMatmulDesc_t, attribute: cublasLtMatmulDescAttributes_t, value: &T) -> cublasStatus_t {
    // SAFETY: a description that is there, and a value of the attribute's type, which is copied.
    unsafe { sys::cublasLtMatmulDescSetAttribute(description, attribute, (&raw const *value).cast(), size_of::<T>()) }
}
